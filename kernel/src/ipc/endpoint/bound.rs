//! Endpoints that are bound to one receiving thread.

use orbital_abi::Error;

use super::{super::deadlock::Waits, Endpoint, Found, queues::Queues};
use crate::{
    capability::Kept,
    object::{AnyRef, Paid, Ref},
    thread::{Claim, Current, Relent, Tcb},
};

/// Of those who have queued before an endpoint is bound, so many are known to wait for its thread then: the first.
const KNOWN: usize = 64;

impl Endpoint {
    /// Lets the current thread `meet` a receiver for its call, unless that would close a cycle of waits.
    pub(super) fn call_bound(
        &self,
        current: &Current,
        meet: impl FnOnce() -> Result<(Found, u64), Error>,
    ) -> Result<(Found, u64), Error> {
        let waits = Waits::lock();
        // SAFETY: the wait that begins holds it, and leaves before it ends; without one that is done below.
        unsafe { waits.enter(current, self) };
        let met = meet();
        let Ok((Found::Queued(_, lent), _)) = &met else {
            waits.leave(current);
            return met;
        };
        let first = self.bound();
        let closes = first.is_some_and(|first| waits.close(current, &first, Self::bound_to));
        // One that is taken just now closes none.
        let Some(relent) = closes.then(|| self.withdraw(current)).flatten() else { return met };
        waits.leave(current);
        drop(waits);
        // What was lent for that moment, too: its CPU may have seen it.
        lent.announce();
        relent.announce();
        Err(Error::WouldDeadlock)
    }

    /// Takes the current thread out of the queue, if it waits there still. Gives what is to be announced.
    fn withdraw(&self, current: &Current) -> Option<Relent> {
        let mut queues = self.queues.lock();
        let claim = Claim::waiting(current.to_ref(), current.wait_number())?;
        // SAFETY: it waits in that queue.
        let queued = unsafe { queues.senders.remove(current) };
        let relent = queues.lend();
        drop(queues);
        current.end_claimed();
        drop((claim.into_thread(), queued));
        Some(relent)
    }

    /// To whom an endpoint is bound.
    pub(in crate::ipc) fn bound_to(endpoint: &AnyRef) -> Option<Ref<Tcb>> {
        endpoint.get::<Self>().ok()?.bound()
    }

    /// To whom it is bound.
    fn bound(&self) -> Option<Ref<Tcb>> {
        self.queues.lock().bound.clone()
    }

    /// Lets `thread` alone receive. Under the lock of that thread's ties.
    ///
    /// # Errors
    /// [`Error::EndpointGone`]; [`Error::AlreadyBound`], also where another thread waits to receive.
    pub(in crate::ipc) fn bind(
        &self,
        thread: &Ref<Tcb>,
        kept: Option<Paid<Kept>>,
    ) -> Result<(), Error> {
        let waits = Waits::lock();
        let mut queues = self.queues.lock();
        if queues.closed {
            return Err(Error::EndpointGone);
        }
        if queues.bound.is_some() || queues.receivers.has_others_than(thread) {
            return Err(Error::AlreadyBound);
        }
        queues.bound = Some(thread.clone());
        queues.bound_by = kept;
        for caller in queues.senders.iter().take(KNOWN).filter(|thread| thread.sends_call()) {
            // SAFETY: its wait holds this endpoint. It is in the queue, so nobody has claimed it, and whoever does, or
            // takes it out, finds the note behind the queue's lock.
            unsafe { waits.enter(caller, self) };
        }
        let relent = queues.lend();
        drop(queues);
        drop(waits);
        relent.announce();
        Ok(())
    }

    /// Lets everyone receive.
    pub(in crate::ipc) fn unbind(&self) {
        self.unbind_if(|_| true);
    }

    /// The same, if it was bound through a capability that was revoked since.
    pub fn unbind_revoked(&self) {
        self.unbind_if(|queues| queues.bound_by.as_ref().is_some_and(|kept| kept.is_revoked()));
    }

    fn unbind_if(&self, is_meant: impl FnOnce(&Queues) -> bool) {
        let Some(thread) = self.take_bound(is_meant) else { return };
        // One that has ended has no ties.
        let tie = thread.with_ties(|ties| ties.endpoint.take_if(|endpoint| endpoint.is(self)));
        drop(tie);
    }

    /// The same, if it is bound to `thread`, which has ended.
    pub(in crate::ipc) fn unbind_from(&self, thread: &Tcb) {
        drop(self.take_bound(|queues| queues.bound.as_ref().is_some_and(|it| it.is(thread))));
    }

    fn take_bound(&self, is_meant: impl FnOnce(&Queues) -> bool) -> Option<Ref<Tcb>> {
        let mut queues = self.queues.lock();
        if !is_meant(&queues) {
            return None;
        }
        let (bound, kept) = (queues.bound.take()?, queues.bound_by.take());
        let relent = bound.set_lent_by_queue(0);
        drop(queues);
        drop(kept);
        relent.announce();
        Some(bound)
    }

    /// Takes the wait `sequence` of `thread`, if that waits here for a message, to be ended by signals.
    pub(in crate::ipc) fn take_waiting(&self, thread: &Ref<Tcb>, sequence: u64) -> Option<Claim> {
        let mut queues = self.queues.lock();
        let claim = Claim::waiting(thread.clone(), sequence)?;
        // SAFETY: that wait began in that queue, and can't end before it is completed.
        let queued = unsafe { queues.receivers.remove(thread) };
        drop(queues);
        drop(queued);
        Some(claim)
    }
}
