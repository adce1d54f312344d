//! What a thread is tied to while it lives: where its faults are handled, and what is bound to it. In the same place
//! stands why it ended, once it has, so nothing is ever tied to a thread that is over.
#![forbid(unsafe_code)]

use core::{mem, sync::atomic::Ordering};

use orbital_abi::{Error, ExitReason};

use super::Tcb;
use crate::{
    capability::Kept,
    object::{AnyRef, Paid},
};

/// Where a thread's faults are handled: an endpoint, which only `ipc` knows as such. It is kept, but not held
/// open.
pub struct FaultHandler {
    /// The endpoint.
    pub endpoint: AnyRef,
    /// What the faults' messages carry.
    pub badge: u64,
    /// By what a revoke finds it; `None` where nobody can revoke the capability by which it was set.
    pub kept: Option<Paid<Kept>>,
}

impl FaultHandler {
    /// Whether the capability is gone by which it was set.
    #[inline]
    fn is_revoked(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_revoked())
    }
}

/// The ties of a thread that lives. Only `ipc` knows what the objects are.
#[derive(Default)]
pub struct Ties {
    /// Where its faults are handled; `None` where they end it.
    pub(super) handler: Option<FaultHandler>,
    /// The one that was asked last, where that is another one since, and either can be revoked: the thread may wait for it.
    pub(super) asked: Option<FaultHandler>,
    /// The notification that is bound to it.
    pub notification: Option<AnyRef>,
    /// The endpoint that is bound to it.
    pub endpoint: Option<AnyRef>,
}

/// The ties, or the end.
pub(super) enum Life {
    Alive(Ties),
    Ended(ExitReason),
}

impl Life {
    pub(super) const fn new() -> Self {
        Self::Alive(Ties { handler: None, asked: None, notification: None, endpoint: None })
    }
}

impl Tcb {
    /// The endpoint where its faults are handled, and the badge; `None` where they end it.
    pub fn fault_handler(&self) -> Option<(AnyRef, u64)> {
        self.with_fault_handler(|handler| Some((handler.endpoint.clone(), handler.badge)))
    }

    /// Runs `f` on where its faults are handled, under the lock that keeps that.
    pub fn with_fault_handler<R>(&self, f: impl FnOnce(&FaultHandler) -> Option<R>) -> Option<R> {
        loop {
            let mut life = self.life.lock();
            let Life::Alive(Ties { handler: Some(handler), asked, .. }) = &mut *life else {
                return None;
            };
            if handler.is_revoked() {
                return None;
            }
            if asked.is_none() {
                return f(handler);
            }
            let old = asked.take();
            drop(life);
            // Perhaps the endpoint's last reference: outside the lock.
            drop(old);
        }
    }

    /// Whether the capability is gone by which the handler was set of which it has asked last to handle a fault.
    pub fn has_lost_handler(&self) -> bool {
        match &*self.life.lock() {
            Life::Alive(Ties { handler, asked, .. }) => {
                asked.as_ref().or(handler.as_ref()).is_some_and(FaultHandler::is_revoked)
            }
            Life::Ended(_) => false,
        }
    }

    /// Lets its faults be handled elsewhere.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn set_fault_handler(&self, handler: Option<FaultHandler>) -> Result<(), Error> {
        let old = self.with_ties(|ties| {
            let can_go = |handler: &Option<FaultHandler>| {
                handler.as_ref().is_some_and(|handler| handler.kept.is_some())
            };
            let matters = ties.asked.is_none() && (can_go(&ties.handler) || can_go(&handler));
            let old = mem::replace(&mut ties.handler, handler);
            // The thread may wait for it.
            if matters { mem::replace(&mut ties.asked, old) } else { old }
        })?;
        // Perhaps the endpoint's last reference: outside the lock.
        drop(old);
        Ok(())
    }

    /// Runs `f` on its ties, under their lock. What `f` takes out has to be dropped afterwards.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn with_ties<R>(&self, f: impl FnOnce(&mut Ties) -> R) -> Result<R, Error> {
        let Life::Alive(ties) = &mut *self.life.lock() else { return Err(Error::Ended) };
        let done = f(ties);
        self.has_notification.store(ties.notification.is_some(), Ordering::Relaxed);
        Ok(done)
    }

    /// Whether a notification is bound to it.
    #[inline]
    pub fn has_notification(&self) -> bool {
        self.has_notification.load(Ordering::Relaxed)
    }

    /// The notification that is bound to it.
    pub fn bound_notification(&self) -> Option<AnyRef> {
        match &*self.life.lock() {
            Life::Alive(ties) => ties.notification.clone(),
            Life::Ended(_) => None,
        }
    }

    /// Why it ended, once it has.
    pub fn exit_reason(&self) -> Option<ExitReason> {
        match &*self.life.lock() {
            Life::Alive(_) => None,
            Life::Ended(reason) => Some(*reason),
        }
    }

    /// It ends: gives its ties, to be cut.
    pub(super) fn end_ties(&self, reason: ExitReason) -> Ties {
        match mem::replace(&mut *self.life.lock(), Life::Ended(reason)) {
            Life::Alive(ties) => ties,
            Life::Ended(_) => Ties::default(),
        }
    }
}
