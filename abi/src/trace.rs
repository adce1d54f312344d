//! The events of the kernel's trace, as [`SystemTrace`](crate::Syscall::SystemTrace) tells them and a dump has them.
//!
//! Each CPU keeps its latest events in a ring, numbered from 0. What happens rarely is always kept, but for
//! `trace=off` on the kernel's command line; what happens with each call, switch or interrupt with `trace=ipc` alone.

use crate::Registers;

/// What a dump of the rings begins with, as QEMU's debug console gets it. Events follow, each of [`EVENT_WORDS`] words
/// of 8 bytes, the lowest byte first; up to the end, which may be in the middle of one.
pub const DUMP_MAGIC: [u8; 8] = *b"OrbTrac1";

/// Words of an event.
pub const EVENT_WORDS: usize = 7;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventKind {
    /// A process was made. Arguments: its name, filled up with zero bytes, as two words.
    ProcessStart = 1,
    /// A process has ended, and has given back what it had.
    ProcessEnd = 2,
    /// A thread was started.
    ThreadStart = 3,
    /// A thread has ended. Arguments: why, the first three words of [`ExitReason::encode`](crate::ExitReason::encode).
    ThreadEnd = 4,
    /// A thread has done what it may not, and nobody handles that. Arguments: the kind of fault, the address, where the
    /// instruction stands.
    Fault = 5,
    /// A thread revokes. Arguments: the slot, the badge.
    Revoke = 6,
    /// An interrupt that means nothing.
    SpuriousInterrupt = 7,
    /// The name of a process that there is when a dump begins: as [`EventKind::ProcessStart`].
    ProcessName = 8,
    /// In a dump: events before the next one of this CPU were overwritten. Arguments: how many.
    Lost = 9,
    /// A thread makes a system call. Arguments: its number.
    Syscall = 32,
    /// A thread goes on in user mode.
    Resume = 33,
    /// The CPU runs this thread from here on.
    Switch = 34,
    /// The CPU has nothing to do from here on.
    Idle = 35,
    /// A thread is woken, by whatever this CPU does.
    Wake = 36,
    /// The operation of a thread was polled. Arguments: 1 if it is over, 0 if it has to wait on.
    Poll = 37,
    /// A task of the kernel's own is polled. Arguments: its priority.
    TaskPoll = 38,
    /// The timer's interrupt; the thread is the one that it came into, 0 where there was none.
    TimerInterrupt = 39,
    /// Another CPU wants this one to look at its queues.
    Kick = 40,
    /// A device's interrupt. Arguments: its line.
    DeviceInterrupt = 41,
    /// A page is touched that is not mapped, or not so. Arguments: the kind of fault, the address, where the instruction
    /// stands. What the kernel does not resolve, the thread's handler is told by a message.
    PageFault = 42,
    /// A message is sent, a call is made, or word of a fault. Arguments: the flow that it belongs to, its own number, and
    /// [`SENDS`] and others.
    Send = 43,
    /// It was received. Arguments: the flow, its number.
    Receive = 44,
    /// A call is answered. Arguments: the flow, the answer's own number.
    Reply = 45,
    /// The answer has come to the thread that has called. Arguments: the flow, the answer's number.
    Answer = 46,
}

/// The third argument of [`EventKind::Send`]: a message alone.
pub const SENDS: u64 = 0;
/// The same: a call.
pub const CALLS: u64 = 1;
/// The same: word of a fault.
pub const FAULTS: u64 = 2;

impl EventKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 24] = [
        Self::ProcessStart,
        Self::ProcessEnd,
        Self::ThreadStart,
        Self::ThreadEnd,
        Self::Fault,
        Self::Revoke,
        Self::SpuriousInterrupt,
        Self::ProcessName,
        Self::Lost,
        Self::Syscall,
        Self::Resume,
        Self::Switch,
        Self::Idle,
        Self::Wake,
        Self::Poll,
        Self::TaskPoll,
        Self::TimerInterrupt,
        Self::Kick,
        Self::DeviceInterrupt,
        Self::PageFault,
        Self::Send,
        Self::Receive,
        Self::Reply,
        Self::Answer,
    ];

    /// The kind with this number, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u64 == number)
    }
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// In nanoseconds since boot.
    pub time: u64,
    /// The CPU on which it happened.
    pub cpu: u8,
    /// What.
    pub kind: EventKind,
    /// The number of the thread that it is about; 0 for none.
    pub thread: u64,
    /// The number of that thread's process, or of the process that it is about; 0 for none.
    pub process: u64,
    /// As the kind says.
    pub arguments: [u64; 3],
}

impl Event {
    /// As words.
    pub fn encode(&self) -> [u64; EVENT_WORDS] {
        let [first, second, third] = self.arguments;
        let what = u64::from(self.cpu) << 8 | self.kind as u64;
        [self.time, what, self.thread, self.process, first, second, third]
    }

    /// From words: `None` for a kind that there is not.
    pub fn decode(words: &[u64; EVENT_WORDS]) -> Option<Self> {
        let [time, what, thread, process, first, second, third] = *words;
        let kind = EventKind::from_number(what & 0xff)?;
        let cpu = u8::try_from(what >> 8).ok()?;
        Some(Self { time, cpu, kind, thread, process, arguments: [first, second, third] })
    }
}

/// An event that was read out of a CPU's ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traced {
    /// The event.
    pub event: Event,
    /// The number from which to read on.
    pub next: u64,
    /// How many events before it were overwritten, since the number that was asked for.
    pub lost: u64,
}

impl Traced {
    /// Into registers.
    pub fn encode(&self) -> Registers {
        let mut registers = Registers::control([self.next, self.lost, 0, 0]);
        registers.words[..EVENT_WORDS].copy_from_slice(&self.event.encode());
        registers
    }

    /// From registers.
    pub fn decode(registers: &Registers) -> Option<Self> {
        let [next, lost, ..] = registers.control;
        let event = Event::decode(registers.words.first_chunk()?)?;
        Some(Self { event, next, lost })
    }
}
