//! What threads wait for, as [`SystemWaits`](crate::Syscall::SystemWaits) tells.

use crate::Registers;

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum WaitKind {
    /// That someone takes its message.
    Send = 0,
    /// A message, or signals.
    Receive = 1,
    /// That someone takes its call, or the answer to it: from the thread [`Wait::whom`]; 0 where it is not known who
    /// takes it, or where the reply is kept.
    Reply = 2,
    /// Signals.
    Signal = 3,
    /// Word of its fault handler, as for a call.
    Handler = 4,
    /// The end of the thread [`Wait::whom`].
    Thread = 5,
    /// The end of the process [`Wait::whom`].
    Process = 6,
    /// That what it asked of the thread [`Wait::whom`] holds.
    Asking = 7,
    /// A time.
    Sleep = 8,
    /// Work that the kernel does for it.
    Work = 9,
}

impl WaitKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Send,
        Self::Receive,
        Self::Reply,
        Self::Signal,
        Self::Handler,
        Self::Thread,
        Self::Process,
        Self::Asking,
        Self::Sleep,
        Self::Work,
    ];

    /// The kind with this number, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number)
    }
}

/// A thread that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Its number; threads count from 1.
    pub thread: u64,
    /// The number of its process.
    pub process: u64,
    /// What it waits for.
    pub kind: WaitKind,
    /// For whom: the number of a thread or a process, or 0.
    pub whom: u64,
    /// Since when, in nanoseconds since boot.
    pub since: u64,
}

impl Wait {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let control = [self.thread, self.process, self.kind as u64, self.whom];
        Registers { control, words: [self.since, 0, 0, 0, 0, 0, 0, 0] }
    }

    /// From registers: `None` where there was no thread any more.
    pub fn decode(registers: &Registers) -> Option<Self> {
        let [thread, process, kind, whom] = registers.control;
        let kind = WaitKind::from_number(kind)?;
        (thread != 0).then_some(Self { thread, process, kind, whom, since: registers.words[0] })
    }
}
