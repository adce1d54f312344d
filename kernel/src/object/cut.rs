//! How far a cut has come: the revoke of those capabilities to an object that carry one badge. It stands in the object
//! and not in a thread, so that anybody can do its next step. What it goes over, `capability` alone knows.

use core::{cell::Cell, num::NonZeroU64, ptr};

/// A cut, or room for one. To be touched by who has the object's derivation tree locked.
pub struct Cut {
    /// The number of the one that goes on, or of the last; `None` where there was none.
    pub number: Cell<Option<NonZeroU64>>,
    /// What those carry that have to go.
    pub badge: Cell<u64>,
    /// What they were derived from.
    pub root: Cell<*const ()>,
    /// Where the walk over what was derived from that is to go on; null at its end.
    pub next: Cell<*const ()>,
    /// Something got another place since it has begun, which it may have missed.
    pub is_stale: Cell<bool>,
    /// All were looked at.
    pub is_walked: Cell<bool>,
}

// SAFETY: whoever touches it has the tree locked.
unsafe impl Send for Cut {}
// SAFETY: as above.
unsafe impl Sync for Cut {}

impl Cut {
    /// Room for one.
    pub const fn new() -> Self {
        Self {
            number: Cell::new(None),
            badge: Cell::new(0),
            root: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            is_stale: Cell::new(false),
            is_walked: Cell::new(false),
        }
    }
}

impl Default for Cut {
    fn default() -> Self {
        Self::new()
    }
}
