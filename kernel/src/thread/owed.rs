//! A call that a thread has taken and not answered.
#![forbid(unsafe_code)]

use orbital_abi::Error;

use super::Tcb;
use crate::object::Ref;

/// The right and duty to answer a call: one-shot, and worth nothing once the caller is gone.
pub struct Owed {
    /// Who waits.
    pub caller: Ref<Tcb>,
    /// Which of its waits.
    pub sequence: u64,
}

impl Drop for Owed {
    /// A reply that is dropped wakes the caller with [`Error::PeerGone`].
    fn drop(&mut self) {
        if let Some(claim) = self.caller.claim_taken(self.sequence) {
            claim.complete(Err(Error::PeerGone));
        }
    }
}
