//! The leaf wait of a message operation, as a future in the thread's slot: it is ready once a
//! partner has written the answer into the thread's registers. Dropping it, when the thread is
//! killed, cancels the wait.
#![forbid(unsafe_code)]

use core::{
    pin::Pin,
    task::{Context, Poll},
};

use super::Endpoint;
use crate::{
    object::Ref,
    thread::{Current, Outcome, Tcb},
};

/// A wait that has begun.
pub(super) struct Waiting {
    thread: Ref<Tcb>,
    /// Where it is queued, unless it waits for a reply alone.
    endpoint: Option<Ref<Endpoint>>,
}

impl Waiting {
    /// The current thread is in a queue of `endpoint`; a call that is taken from there goes on
    /// waiting for its reply.
    pub(super) fn in_queue(endpoint: &Ref<Endpoint>, current: &Current) -> Self {
        Self { thread: current.to_ref(), endpoint: Some(endpoint.clone()) }
    }

    /// The current thread's call was taken at once.
    pub(super) fn for_reply(current: &Current) -> Self {
        Self { thread: current.to_ref(), endpoint: None }
    }
}

impl Future for Waiting {
    type Output = Outcome;

    /// Registers no waker: the thread itself is what a completer wakes.
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        if self.thread.take_ready() { Poll::Ready(Outcome::Written) } else { Poll::Pending }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.forget(&self.thread);
        }
        self.thread.cancel_wait();
    }
}
