//! Revoking, as far as tables are concerned: all that was derived from an entry is killed, in whatever table it
//! is. What else there is to a revoke, mappings and those who wait, is [`crate::revoke`]'s.
//!
//! ```text
//!           1           2             3
//!   begin ─────► mark ─────► kill ─────► unmark
//!                  │           │ │  ▲
//!                  │ 4         │ └──┘ in steps
//!                  └► abandoned ◄┘
//! ```
//! 1. The entry is marked: nothing is derived beneath it from here on. 2. Children that it lacks since it was moved
//! are pulled over. Then entries are killed, step by step, that have no children, so that a tree is never without its
//! root. 3. None is left. 4. Whoever revokes has died. The
//! mark stays, and stands for all revokes of the entry that were abandoned: the process's reaper begins anew
//! with it.
//!
//! **It ends.** Beneath a mark nothing is added, nor moved: children that are adopted come from beneath it
//! too. So there is less with each kill, and a step that kills nothing has met someone else who did.
//!
//! **Races.** A step looks for a leaf, keeps that one's table by a reference, locks the table, then the tree,
//! and looks again: what it kills it has found under both locks. A lookup that comes before that has its entry under
//! the table's lock, one that comes later finds none. Two revokes whose trees overlap kill side by side. If
//! one kills the entry that the other has marked, that leaves its place, but its slot and its mark stay until
//! the other one has seen that nothing is beneath it any more.

use core::ptr::NonNull;

use orbital_abi::{CapSlot, Error};

use super::{Table, derivation::Tree, slot::Slot, slots::table_of, table::Closed};
use crate::object::{AnyRef, Ref};

/// How many entries one step kills.
const STEP: usize = 32;

/// A revoke that goes on. If it is dropped before it has ended, it is abandoned: the process's reaper has to
/// be woken.
#[must_use = "a mark stays until the revoke has ended"]
pub struct Revoking {
    table: Ref<Table>,
    /// In the table, marked.
    root: NonNull<Slot>,
    object: AnyRef,
    has_ended: bool,
}

impl Revoking {
    /// Begins to revoke what was derived from the entry in `slot` of `table`.
    ///
    /// # Errors
    /// Those of a lookup; [`Error::QuotaExceeded`] when 31 threads do that.
    pub fn begin(table: &Ref<Table>, slot: CapSlot) -> Result<Self, Error> {
        let entries = table.lock();
        let held = entries.lookup(slot)?;
        let (root, object) = (NonNull::from(held.slot()), held.object().clone());
        {
            let _tree = Tree::of(object.header());
            held.slot().mark()?;
        }
        Ok(Self { table: table.clone(), root, object, has_ended: false })
    }

    /// Goes on with one that was abandoned.
    pub fn abandoned(table: &Ref<Table>, index: u32) -> Option<Self> {
        let (root, object) = table.lock().take_abandoned(index)?;
        Some(Self { table: table.clone(), root, object, has_ended: false })
    }

    /// What the capabilities name that are revoked.
    pub fn object(&self) -> &AnyRef {
        &self.object
    }

    fn root(&self) -> &Slot {
        // SAFETY: what is marked is there.
        unsafe { self.root.as_ref() }
    }

    /// Kills some of the entries; whether there may be more.
    pub fn step(&self) -> bool {
        let found = {
            let tree = Tree::of(self.object.header());
            // SAFETY: the root is of this tree.
            unsafe {
                if tree.pull(self.root()) {
                    return true;
                }
                let Some(leaf) = tree.leaf_beneath(self.root()) else { return false };
                // What is in a tree that is locked is there, and so is its table.
                Ref::<Table>::try_from_object(table_of(leaf).cast())
            }
        };
        // Otherwise it is going, and its entries with it.
        if let Some(table) = found {
            let killed = self.kill_in(&table);
            // This one's reference is there.
            self.object.header().capabilities_killed(killed);
        }
        true
    }

    /// Kills entries that are next, as long as they are in `table`; how many have to be counted out.
    fn kill_in(&self, table: &Table) -> usize {
        let mut entries = table.lock();
        let tree = Tree::of(self.object.header());
        let mut killed = 0;
        for _ in 0..STEP {
            // SAFETY: as in `step`; the table that is compared is the one that is locked.
            let entry = unsafe {
                let Some(leaf) = tree.leaf_beneath(self.root()) else { break };
                if table_of(leaf).cast() != NonNull::from(table) {
                    break;
                }
                entries.kill(leaf, &tree)
            };
            if let Closed::Entry(entry) | Closed::Leaving(Some(entry)) = entry {
                entry.killed();
                killed += 1;
            }
        }
        killed
    }

    /// All is over.
    pub fn end(mut self) {
        self.has_ended = true;
        // SAFETY: the mark is this one's, and not used any more.
        let closed = unsafe { self.table.lock().unmark(self.root()) };
        // Perhaps its object's last capability, after unlocking. What is left is the reaper's.
        drop(closed);
    }
}

impl Drop for Revoking {
    fn drop(&mut self) {
        if !self.has_ended {
            // SAFETY: the mark is this one's, and not used any more.
            unsafe { self.table.lock().abandon(self.root()) };
        }
    }
}
