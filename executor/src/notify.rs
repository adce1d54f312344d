//! Whom to tell of new work: what an executor and a timer queue call when something is put in from
//! anywhere. Most owners ask an [`crate::urgency::Urgency`] there whether to kick.
#![forbid(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering, const_unless_loom, store_before_load};

/// Says that there is something new. The first argument is the number that the owner gave itself, a
/// CPU's for example; the second is how urgent it is, for [`crate::urgency`]: a task's priority plus
/// one, `usize::MAX` for a timer. Called from any thread or CPU, the owner's own included, and from within wakers: it
/// must not wait.
pub type Tell = fn(owner: usize, urgency: usize);

/// No owner yet. It will look for what came before it.
const NOBODY: usize = usize::MAX;

/// A [`Tell`] and whom to call it for.
pub(crate) struct Notify {
    tell: Option<Tell>,
    owner: AtomicUsize,
}

impl Notify {
    const_unless_loom! {
        /// Calls `tell`, if there is one, once there is an owner.
        pub fn new(tell: Option<Tell>) -> Self {
            Self { tell, owner: AtomicUsize::new(NOBODY) }
        }
    }

    /// Makes `owner`, which is not `usize::MAX`, the one to tell. False when there is one already.
    pub fn claim(&self, owner: usize) -> bool {
        assert_ne!(owner, NOBODY, "this number means that there is no owner");
        // Before the owner looks for what came earlier: see `urgency`.
        let claimed =
            self.owner.compare_exchange(NOBODY, owner, Ordering::SeqCst, Ordering::Relaxed);
        store_before_load();
        claimed.is_ok()
    }

    /// There is something new, so urgent.
    pub fn tell(&self, urgency: usize) {
        if let Some(tell) = self.tell {
            let owner = self.owner.load(Ordering::SeqCst);
            if owner != NOBODY {
                tell(owner, urgency);
            }
        }
    }
}
