//! The queues of an endpoint for messages that take the [fast path](super::super::fast_path): locked, and changed one
//! step at a time.
#![forbid(unsafe_code)]

use super::{Endpoint, queues::Queues};
use crate::{
    lock::MutexGuard,
    object::Ref,
    thread::{Current, FirstWaiting, Phase, Sending, Tcb},
};

/// An endpoint whose queues are locked.
pub(in crate::ipc) struct Locked<'a>(MutexGuard<'a, Queues>);

impl Endpoint {
    /// Locks the queues.
    #[inline(always)]
    pub(in crate::ipc) fn lock(&self) -> Locked<'_> {
        Locked(self.queues.lock())
    }
}

impl Locked<'_> {
    /// The first of those who wait for a message.
    #[inline(always)]
    pub(in crate::ipc) fn first_receiver(&mut self) -> Option<FirstReceiver<'_>> {
        self.0.receivers.first_waiting().map(FirstReceiver)
    }

    /// Whether the current thread may wait here for a message, and none waits for it.
    #[inline(always)]
    pub(in crate::ipc) fn admit(&self, current: &Current) -> bool {
        let queues = &*self.0;
        // One look at both: nearly always there is neither.
        if queues.senders.is_empty() & queues.bound.is_none() {
            return !queues.closed;
        }
        let is_bound = queues.bound.as_ref().is_some_and(|bound| bound.is(current));
        is_bound && queues.senders.is_empty() && !queues.closed
    }

    /// The current thread, which is [admitted](Locked::admit), waits for a message. `thread` is a reference to it.
    #[inline(always)]
    pub(in crate::ipc) fn queue_receiver(
        mut self,
        current: &Current,
        thread: Ref<Tcb>,
        accepts: usize,
    ) {
        current.begin_wait(Phase::Queued, Sending::Message, accepts);
        self.0.receivers.insert(thread);
    }
}

/// The first of those who wait for a message.
pub(in crate::ipc) struct FirstReceiver<'a>(FirstWaiting<'a>);

impl core::ops::Deref for FirstReceiver<'_> {
    type Target = Tcb;

    fn deref(&self) -> &Tcb {
        &self.0
    }
}

impl FirstReceiver<'_> {
    /// Takes it off the queue: its wait is over, and its CPU, which calls, lets it go on without a wake.
    #[inline(always)]
    pub(in crate::ipc) fn take(self) -> Ref<Tcb> {
        let thread = self.0.take();
        thread.end_claimed();
        thread
    }
}
