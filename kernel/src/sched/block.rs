//! The one place where a thread starts to wait.
#![forbid(unsafe_code)]

use core::task::Poll;

use orbital_abi::{Error, ExitReason, Registers};

use crate::thread::{BlockReason, Current, Outcome};

/// How a system call or fault ended, as its handler tells the dispatcher. An answer's registers are no part of it, but
/// written right where they belong: it takes fewer steps than to hand them on.
#[derive(Debug)]
pub enum Completion {
    /// Go on: the answer is written, or none is due, and nothing else has happened.
    Resumed,
    /// Go on with this error.
    Failed(Error),
    /// Go on; the answer is written, or something came that the dispatcher looks at.
    Written,
    /// Go on with this answer, after others of the same priority.
    Yield,
    /// The thread waits; its operation stands in its slot.
    Blocked,
    /// The thread ends.
    End(ExitReason),
}

impl Completion {
    /// The call is done, and its answer says no more than that.
    #[inline]
    pub fn done(current: &Current) -> Self {
        current.answer_done();
        Self::Resumed
    }

    /// It is done with this answer.
    #[inline]
    pub fn answered(current: &Current, values: &Registers) -> Self {
        current.answer_values(values);
        Self::Resumed
    }

    /// It is over with what this says.
    #[inline]
    pub fn of(current: &Current, answer: Result<Registers, Error>) -> Self {
        match answer {
            Ok(values) => Self::answered(current, &values),
            Err(error) => Self::Failed(error),
        }
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
        Poll::Ready(Outcome::Answer(answer)) => Completion::of(current, answer),
        Poll::Ready(Outcome::End(reason)) => Completion::End(reason),
        Poll::Pending => Completion::Blocked,
    }
}
