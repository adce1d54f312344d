//! What a thread is doing.
//!
//! ```text
//!             1          2           3
//!  Inactive ────► Ready ───► Running ───► Ended
//!                  ▲ ▲  ◄───  │
//!                5 │ │    4   │ 6
//!                  │ └─────── Blocked
//!                  └ woken: on its CPU's wake queue
//! ```
//! 1. started; 2. picked; 3. exit, fault or kill (a kill also from any other state: the thread's CPU
//!    does it, on its next turn); 4. preempted or yielded; 5. woken; 6. its operation has to wait.
//!
//! While a thread runs or is ready after a preemption, its task counts as being polled, so a wake
//! that comes meanwhile is remembered and not queued (see [`orbital_executor::task`]).
#![forbid(unsafe_code)]

use orbital_abi::{Error, ExitReason, Registers};

/// Names a thread for as long as the machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadId(pub u64);

impl core::fmt::Display for ThreadId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a blocked thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// A receiver for its message.
    Sending,
    /// A message.
    Receiving,
    /// The answer to its call.
    WaitingReply {
        /// Who took the call; `None` while nobody has.
        from: Option<ThreadId>,
    },
    /// Signals of a notification.
    WaitingSignal,
    /// What its fault handler says.
    WaitingHandler,
    /// The end of a thread.
    WaitingThread(ThreadId),
    /// The end of the process with this number.
    WaitingProcess(u64),
    /// That what it asked of a thread holds.
    Asking(ThreadId),
    /// A time.
    Sleeping,
    /// Nothing but its turn: the kernel works for it in steps.
    Working,
}

impl BlockReason {
    /// In one word: which one, and above that the number in it. Threads count from 1.
    pub(super) const fn to_bits(self) -> u64 {
        let (kind, number) = match self {
            Self::Sending => (0, 0),
            Self::Receiving => (1, 0),
            Self::WaitingReply { from: None } => (2, 0),
            Self::WaitingReply { from: Some(ThreadId(id)) } => (2, id),
            Self::WaitingSignal => (3, 0),
            Self::WaitingHandler => (4, 0),
            Self::WaitingThread(ThreadId(id)) => (5, id),
            Self::WaitingProcess(id) => (6, id),
            Self::Asking(ThreadId(id)) => (7, id),
            Self::Sleeping => (8, 0),
            Self::Working => (9, 0),
        };
        number << 4 | kind
    }

    /// What [`BlockReason::to_bits`] gave.
    pub(super) const fn from_bits(bits: u64) -> Self {
        let number = bits >> 4;
        match bits & 0xf {
            0 => Self::Sending,
            1 => Self::Receiving,
            2 if number == 0 => Self::WaitingReply { from: None },
            2 => Self::WaitingReply { from: Some(ThreadId(number)) },
            3 => Self::WaitingSignal,
            4 => Self::WaitingHandler,
            5 => Self::WaitingThread(ThreadId(number)),
            6 => Self::WaitingProcess(number),
            7 => Self::Asking(ThreadId(number)),
            8 => Self::Sleeping,
            _ => Self::Working,
        }
    }
}

/// The states of the diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ThreadState {
    /// Made, not started.
    Inactive,
    /// Woken or started, waits for the CPU.
    Woken,
    /// Preempted or yielded, waits for the CPU.
    Preempted,
    /// Has the CPU.
    Running,
    /// Waits for something else.
    Blocked,
    /// Over.
    Ended,
}

/// What an operation that had to wait ends with.
#[derive(Debug)]
pub enum Outcome {
    /// The completer wrote the answer into the thread's registers.
    Written,
    /// This answer is to be written.
    Answer(Result<Registers, Error>),
    /// The thread ends.
    End(ExitReason),
}

#[cfg(test)]
mod tests {
    use super::{BlockReason::*, ThreadId};

    #[test]
    fn reasons_survive_in_a_word() {
        let id = ThreadId(u64::MAX >> 4);
        let reasons = [
            Sending,
            Receiving,
            WaitingReply { from: None },
            WaitingReply { from: Some(id) },
            WaitingSignal,
            WaitingHandler,
            WaitingThread(id),
            WaitingProcess(1),
            Asking(id),
            Sleeping,
            Working,
        ];
        for reason in reasons {
            assert_eq!(super::BlockReason::from_bits(reason.to_bits()), reason);
        }
    }
}
