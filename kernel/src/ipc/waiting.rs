//! The leaf wait of a message operation, as a future in the thread's slot: it is ready once a partner has
//! written the answer into the thread's registers, or its deadline has come and nobody will. Dropping
//! it, when the thread is killed, cancels the wait.

use core::{
    pin::Pin,
    task::{Context, Poll},
};

use orbital_abi::{Deadline, Error};
use orbital_executor::timer::Sleep;

use super::Endpoint;
use crate::{
    object::Ref,
    sched::clock::sleep_until,
    thread::{Current, Outcome, Phase, Tcb},
};

/// A wait that has begun.
pub(super) struct Waiting {
    thread: Ref<Tcb>,
    /// Where it is queued, unless it waits for a reply alone.
    endpoint: Option<Ref<Endpoint>>,
    /// Until when. Pinned with the future.
    sleep: Sleep<'static>,
}

impl Waiting {
    fn new(current: &Current, endpoint: Option<Ref<Endpoint>>, deadline: Deadline) -> Self {
        // A wait that must not wait has not begun; that for the reply to a call that must not has no
        // end.
        let until = match deadline {
            Deadline::At(time) => time,
            Deadline::Now | Deadline::Never => u64::MAX,
        };
        Self { thread: current.to_ref(), endpoint, sleep: sleep_until(until) }
    }

    /// The current thread is in a queue of `endpoint`; a call that is taken from there goes on
    /// waiting for its reply.
    pub(super) fn in_queue(
        endpoint: &Ref<Endpoint>,
        current: &Current,
        deadline: Deadline,
    ) -> Self {
        Self::new(current, Some(endpoint.clone()), deadline)
    }

    /// The current thread's call was taken at once.
    pub(super) fn for_reply(current: &Current, deadline: Deadline) -> Self {
        Self::new(current, None, deadline)
    }

    /// Ends the wait, if nobody has written an answer; in which phase it was.
    fn cancel(&self) -> Option<Phase> {
        if let Some(endpoint) = &self.endpoint {
            endpoint.forget(&self.thread);
        }
        self.thread.cancel_wait()
    }

    fn sleep(self: Pin<&mut Self>) -> Pin<&mut Sleep<'static>> {
        // SAFETY: the timer is pinned with the future; nothing moves it.
        unsafe { self.map_unchecked_mut(|this| &mut this.sleep) }
    }
}

impl Future for Waiting {
    type Output = Outcome;

    /// Registers no waker but the deadline's: the thread itself is what a completer wakes.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        if self.thread.take_ready() {
            return Poll::Ready(Outcome::Written);
        }
        if self.sleep.deadline() == u64::MAX || self.as_mut().sleep().poll(context).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match self.cancel() {
            Some(Phase::Taken) => Outcome::Answer(Err(Error::Unanswered)),
            Some(_) => Outcome::Answer(Err(Error::TimedOut)),
            // A partner was quicker.
            None => Outcome::Written,
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.cancel();
    }
}
