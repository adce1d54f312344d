//! A call that a thread has taken and not answered. It stands in the TCB, beside the registers, and whoever may
//! touch those may touch it.

use core::{cell::UnsafeCell, mem::ManuallyDrop};

use orbital_abi::Error;

use super::{Claim, Current, Tcb};
use crate::object::Ref;

/// The right and duty to answer a call: one-shot, and worth nothing once the caller is gone.
pub struct Owed {
    /// Who waits.
    pub caller: Ref<Tcb>,
    /// Which of its waits.
    pub sequence: u64,
}

impl Owed {
    /// The call is answered: whoever waited goes on.
    pub fn answered(self) -> Ref<Tcb> {
        let this = ManuallyDrop::new(self);
        // SAFETY: it is read once, and never dropped there.
        unsafe { core::ptr::read(&this.caller) }
    }
}

impl Drop for Owed {
    /// A reply that is dropped wakes the caller with [`Error::PeerGone`].
    fn drop(&mut self) {
        if let Some(claim) = self.caller.claim_taken(self.sequence) {
            claim.complete(Err(Error::PeerGone));
        }
    }
}

/// The place for one.
pub(super) struct OwedCell(UnsafeCell<Option<Owed>>);

// SAFETY: every access goes through a proof of exclusive access, as for the registers.
unsafe impl Sync for OwedCell {}

impl OwedCell {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// # Safety
    /// The caller has exclusive access, by one of the two proofs, until this call returns.
    unsafe fn replace(&self, owed: Option<Owed>) -> Option<Owed> {
        // SAFETY: the caller's; what was there is dropped by the caller, and not here.
        core::mem::replace(unsafe { &mut *self.0.get() }, owed)
    }
}

impl Current {
    /// It has taken a call. Gives the one that it had not answered.
    pub fn owe(&self, owed: Owed) -> Option<Owed> {
        // SAFETY: this is the proof.
        unsafe { self.owed.replace(Some(owed)) }
    }

    /// It has taken a call, and owed none.
    #[inline]
    pub fn owe_first(&self, owed: Owed) {
        debug_assert!(!self.owes(), "the call that it owed is lost");
        // SAFETY: this is the proof; there is nothing to be dropped.
        unsafe { self.owed.0.get().write(Some(owed)) };
    }

    /// Whether it has a call to answer.
    pub fn owes(&self) -> bool {
        // SAFETY: this is the proof; nothing is borrowed any longer than this.
        unsafe { (*self.owed.0.get()).is_some() }
    }

    /// The call that it has to answer; from here on it is the caller's.
    pub fn take_owed(&self) -> Option<Owed> {
        // SAFETY: this is the proof.
        unsafe { self.owed.replace(None) }
    }
}

impl Claim {
    /// The thread has taken a call. Gives the one that it had not answered, to be dropped when no wait is
    /// claimed.
    pub fn owe(&self, owed: Owed) -> Option<Owed> {
        // SAFETY: this is the proof.
        unsafe { self.thread().owed.replace(Some(owed)) }
    }
}
