//! What stands in a derivation tree for something that was made through a capability, and outlasts the call: a
//! mapping, a fault handler, what a timer signals, a binding. So a revoke finds that too.
//!
//! ```text
//!                parent
//!      ┌───────────┼────────┐
//!     kept     capability  other
//!      ▲           ┊
//!   something ┄┄┄┄┄┘ made through it
//! ```
//! It is a node without a table, in the memory of whatever was made, or rather of who pays for that; and a sibling of the
//! capability. So a revoke that kills the capability meets it as well, whatever has become of the capability meanwhile: it may
//! have been closed, or moved to another table, or its process be gone. A revoke of what was derived from the capability does
//! not meet it. What was derived from [nothing](super::Held::is_root) is safe from all revokes, and so is what is made
//! through it: there is nothing to keep then.
//!
//! ```text
//!            1              2                3
//!   nothing ───► in a tree ───► revoked ─────────► gone
//!                    │                               ▲
//!                    └───────────────────────────────┘ 3
//! ```
//! 1. Under the lock of the capability's table and that of the tree, and not beneath a mark. 2. A revoke has met it. 3. Its
//! owner has dropped it. Who revokes has to see to that where it has a [holder](Holder), before the revoke is over: it
//! stays where it is until then. One without is taken out of its tree at once, and its owner looks whether it
//! [holds](Kept::is_revoked) whenever that matters.
//!
//! **Locks.** All but the place in the tree stays as it is, or is atomic. The place is the tree's, whose lock is
//! enough to come and to go: no table's lock guards it. It may be taken under an address space's.

use core::ptr::NonNull;

use orbital_abi::{CapSlot, Error};

use super::{
    Table,
    derivation::Tree,
    slot::{Slot, Task},
};
use crate::object::{AnyRef, Object, Paid, Quota, Ref, Uncounted};

/// Who has something that was made through a capability, and under which number.
#[derive(Clone, Copy)]
pub struct Holder {
    object: Uncounted,
    number: u64,
}

impl Holder {
    /// What stands under `number` in `object`, which outlives it.
    pub fn new<T: Object>(object: &T, number: u64) -> Self {
        Self { object: Uncounted::of(object), number }
    }
}

/// What was made through a capability that is to be killed.
pub struct Made {
    /// Who has it.
    pub holder: AnyRef,
    /// Under which number.
    pub number: u64,
}

/// Stands in a tree for what was made through one of its capabilities.
#[repr(C)]
pub struct Kept {
    /// First, and as such it is known to the tree.
    slot: Slot,
    /// Who has to let go of it when it is revoked; `None` where its owner looks.
    holder: Option<Holder>,
}

impl Kept {
    fn new(
        (object, badge): (AnyRef, u64),
        holder: Option<Holder>,
        quota: &Ref<Quota>,
    ) -> Result<Paid<Self>, Error> {
        Paid::new_with(quota, || Self { slot: Slot::kept(object, badge), holder })
    }

    /// One for what is about to be made through the capability in `slot` of `table`, paid by `quota`.
    ///
    /// # Errors
    /// Those of a [lookup](super::table::Entries::lookup); [`Error::QuotaExceeded`]; [`Error::Revoked`] when the
    /// capability is about to be.
    pub fn beside(
        table: &Table,
        slot: CapSlot,
        holder: Option<Holder>,
        quota: &Ref<Quota>,
    ) -> Result<Paid<Self>, Error> {
        let entries = table.lock();
        let held = entries.lookup(slot)?;
        let kept = Self::new((held.object().clone(), held.badge()), holder, quota)?;
        // SAFETY: an entry to this object, whose table is locked, and a new node, which leaves the tree before it goes.
        let linked =
            unsafe { Tree::of(held.object().header()).link_beside(&kept.slot, held.slot()) };
        linked.map(|()| kept)
    }

    /// Another one beside it, for a part of what it stands for. The two parts are together no more than there was before, so
    /// that is granted beneath a mark, too.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn again(&self, holder: Option<Holder>, quota: &Ref<Quota>) -> Result<Paid<Self>, Error> {
        let object = AnyRef::clone(&*self.slot.object().ok_or(Error::StaleCapability)?);
        let kept = Self::new((object.clone(), self.slot.badge()), holder, quota)?;
        // SAFETY: both are of this object, and the new one leaves the tree before it goes.
        unsafe { Tree::of(object.header()).push_beside(&kept.slot, &self.slot) };
        Ok(kept)
    }

    /// Whether a revoke has met it.
    pub fn is_revoked(&self) -> bool {
        self.slot.is_to(Task::Leaving)
    }

    /// A revoke has met the one with this node. Who has to let go of it.
    ///
    /// # Safety
    /// The node is a kept one's, and in this tree.
    pub(super) unsafe fn revoke(node: &Slot, tree: &Tree<'_>) -> Option<Made> {
        // SAFETY: the caller's. Its holder is there as long as it has not let go.
        unsafe {
            node.set_task(Task::Leaving);
            match NonNull::from(node).cast::<Self>().as_ref().holder {
                Some(Holder { object, number }) => Some(Made { holder: object.counted(), number }),
                None => {
                    tree.unlink(node);
                    None
                }
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(object) = self.slot.object() else { return };
        // SAFETY: it is of this tree's object; if it is in no tree any more, its links lead nowhere.
        unsafe { Tree::of(object.header()).unlink(&self.slot) };
        // SAFETY: nobody finds it any more. What this gives is dropped after unlocking.
        drop(unsafe { self.slot.empty(None) });
    }
}
