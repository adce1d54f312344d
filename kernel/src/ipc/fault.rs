//! Faults as messages: the thread's handler is told by a call that the kernel makes in its name. The thread
//! waits for the answer as any caller does, with its registers as they were; so whatever ends a call ends this
//! wait too: an answer, the handler's end, the endpoint's, a kill, and, as long as nobody has taken the call, a revoke of the
//! capability by which the handler was set.
#![forbid(unsafe_code)]

use core::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use orbital_abi::{ExitReason, Fault};

use super::{
    Endpoint,
    waiting::{Waiting, Waits},
};
use crate::{
    object::Ref,
    sched::{Completion, block},
    thread::{BlockReason, Current, Outcome},
};

/// The wait for a handler's word.
pub(super) struct Handled {
    waiting: Waiting<Endpoint>,
    fault: Fault,
}

impl Handled {
    /// The current thread's fault was taken at once.
    pub(super) fn begun(current: &Current, fault: Fault) -> Self {
        Self { waiting: Waiting::begun(current, None), fault }
    }

    /// Forgets the wait, which whoever has claimed it has ended: the thread goes on.
    pub(super) fn resumed(self) {
        self.waiting.ended();
    }
}

impl Waits for Handled {
    fn stand_anew(&self) {
        self.waiting.stand_anew();
    }
}

impl Future for Handled {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        ready!(Pin::new(&mut self.waiting).poll(context));
        Poll::Ready(match self.waiting.thread().is_resumed() {
            true => Outcome::Written,
            false => Outcome::End(ExitReason::Faulted(self.fault)),
        })
    }
}

/// Lets the current thread's fault be handled, if it has a handler that can be told; else gives the fault
/// back.
///
/// # Errors
/// The fault, which nobody handles.
pub fn handle(current: &Current, fault: Fault) -> Result<Completion, Fault> {
    let (endpoint, badge) = current.fault_handler().ok_or(fault)?;
    let endpoint: Ref<Endpoint> = endpoint.downcast().map_err(|_| fault)?;
    let waiting = Endpoint::send_fault(&endpoint, current, badge, &fault).ok_or(fault)?;
    let handled = Handled { waiting, fault };
    Ok(block(current, BlockReason::WaitingHandler, handled))
}
