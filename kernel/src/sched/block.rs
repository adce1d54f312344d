//! The one place where a thread starts to wait.
#![forbid(unsafe_code)]

use core::task::Poll;

use orbital_abi::{Error, ExitReason, Registers};

use crate::thread::{BlockReason, Current, Outcome};

/// How a system call or fault ended, as its handler tells the dispatcher.
#[derive(Debug)]
pub enum Completion {
    /// Go on with this answer.
    Done(Result<Registers, Error>),
    /// Go on: nothing else has happened.
    Resumed,
    /// Go on; the answer is written, or something came that the dispatcher looks at.
    Written,
    /// Go on with this answer, after others of the same priority.
    Yield,
    /// The thread waits; its operation stands in its slot.
    Blocked,
    /// The thread ends.
    End(ExitReason),
}

impl From<Result<Registers, Error>> for Completion {
    fn from(answer: Result<Registers, Error>) -> Self {
        Self::Done(answer)
    }
}

/// Lets the current thread wait for `operation`: puts it into the slot and polls it once. What is
/// ready at once does not block.
pub fn block(
    current: &Current,
    reason: BlockReason,
    operation: impl Future<Output = Outcome> + 'static,
) -> Completion {
    current.set_block_reason(reason);
    current.set_operation(operation);
    match current.poll_operation() {
        Poll::Ready(Outcome::Written) => Completion::Written,
        Poll::Ready(Outcome::Answer(answer)) => Completion::Done(answer),
        Poll::Ready(Outcome::End(reason)) => Completion::End(reason),
        Poll::Pending => Completion::Blocked,
    }
}
