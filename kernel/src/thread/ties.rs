//! What a thread is tied to while it lives: where its faults are handled, and what is bound to it. In the same place
//! stands why it ended, once it has, so nothing is ever tied to a thread that is over.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering;

use orbital_abi::{Error, ExitReason};

use super::Tcb;
use crate::object::AnyRef;

/// Where a thread's faults are handled: an endpoint, which only `ipc` knows as such. It is kept, but not held
/// open.
#[derive(Clone)]
pub struct FaultHandler {
    /// The endpoint.
    pub endpoint: AnyRef,
    /// What the faults' messages carry.
    pub badge: u64,
}

/// The ties of a thread that lives. Only `ipc` knows what the objects are.
#[derive(Default)]
pub struct Ties {
    /// Where its faults are handled; `None` where they end it.
    pub(super) handler: Option<FaultHandler>,
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
        Self::Alive(Ties { handler: None, notification: None, endpoint: None })
    }
}

impl Tcb {
    /// Where its faults are handled; `None` where they end it.
    pub fn fault_handler(&self) -> Option<FaultHandler> {
        self.with_fault_handler(|handler| Some(handler.clone()))
    }

    /// Runs `f` on where its faults are handled, under the lock that keeps that.
    pub fn with_fault_handler<R>(&self, f: impl FnOnce(&FaultHandler) -> Option<R>) -> Option<R> {
        match &*self.life.lock() {
            Life::Alive(Ties { handler: Some(handler), .. }) => f(handler),
            _ => None,
        }
    }

    /// Lets its faults be handled elsewhere.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn set_fault_handler(&self, handler: Option<FaultHandler>) -> Result<(), Error> {
        let old = self.with_ties(|ties| core::mem::replace(&mut ties.handler, handler))?;
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
        match core::mem::replace(&mut *self.life.lock(), Life::Ended(reason)) {
            Life::Alive(ties) => ties,
            Life::Ended(_) => Ties::default(),
        }
    }
}
