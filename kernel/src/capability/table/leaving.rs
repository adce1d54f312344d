//! Entries that can't leave at once: those with many children, and those beneath which a revoke goes on. What a revoke
//! does to the entries of a table, and what is left for the process's reaper.

use core::ptr::NonNull;

use super::{Closed, Entries, LEAVING};
use crate::{
    capability::{
        EntryGuard,
        derivation::{Node, Tree},
        slots::{Content, slot_of},
    },
    object::AnyRef,
};

/// How many slots one step looks at that searches for something to be done.
const SEARCH: u32 = 256;

/// Whoever revoked what was derived from it has died. The mark in its node is there still.
const ABANDONED: u8 = 2;

/// What [`Entries::tidy`] has found.
pub enum Tidied {
    /// Something, and may find more.
    More,
    /// An entry that has left, to be dropped after unlocking.
    Entry(EntryGuard),
    /// A revoke that nobody goes on with, of what was derived from the entry with this index.
    Abandoned(u32),
    /// Nothing more.
    Nothing,
}

impl Entries {
    /// Kills an entry, which has no children, in the name of whoever revokes what it was derived from.
    ///
    /// # Safety
    /// The node is in the tree, and stands in this table.
    #[inline]
    pub(in crate::capability) unsafe fn kill(
        &mut self,
        node: NonNull<Node>,
        tree: &Tree<'_>,
    ) -> Option<EntryGuard> {
        // SAFETY: the caller's.
        let is_marked = unsafe {
            tree.unlink(node);
            tree.is_marked(node)
        };
        if is_marked {
            // Whoever has marked it finds that nothing is left beneath it.
            // SAFETY: the caller's.
            unsafe { self.leave_later(node) };
            return None;
        }
        // SAFETY: the caller's.
        unsafe { self.free(node) }
    }

    /// The entry that a revoke has marked can go, if it wants to, as far as that is concerned.
    ///
    /// # Safety
    /// The node stands in this table, and the mark is the caller's.
    pub(in crate::capability) unsafe fn unmark(&mut self, node: NonNull<Node>) -> Closed {
        // SAFETY: the caller's; what is marked is there.
        let slot = unsafe { slot_of(node) };
        let Content::Held(entry) = slot.content() else { return Closed::All };
        // SAFETY: as above.
        unsafe { Tree::of(entry.capability().object.header()).unmark(node) };
        if slot.node.state.get() & LEAVING == 0 {
            return Closed::All;
        }
        // SAFETY: as above.
        unsafe { self.leave(node) }
    }

    /// Nobody goes on with a revoke. Its mark stays for whoever tidies up, but one is enough.
    ///
    /// # Safety
    /// As [`Entries::unmark`].
    pub(in crate::capability) unsafe fn abandon(&mut self, node: NonNull<Node>) {
        // SAFETY: the caller's; what is marked is there.
        let slot = unsafe { slot_of(node) };
        if slot.node.state.get() & ABANDONED == 0 {
            self.set_state(slot, ABANDONED);
        } else if let Content::Held(entry) = slot.content() {
            // SAFETY: as above.
            unsafe { Tree::of(entry.capability().object.header()).unmark(node) };
        }
    }

    /// Takes over the mark of a revoke that was abandoned.
    pub(in crate::capability) fn take_abandoned(
        &mut self,
        index: u32,
    ) -> Option<(NonNull<Node>, AnyRef)> {
        let slot = self.slots.get(index).filter(|slot| slot.node.state.get() & ABANDONED != 0)?;
        let Content::Held(entry) = slot.content() else { return None };
        let taken = (NonNull::from(&slot.node), entry.capability().object.clone());
        // SAFETY: it is in this table, which is borrowed.
        self.clear_state(unsafe { slot_of(taken.0) }, ABANDONED);
        Some(taken)
    }

    /// Does a step of what is left to be done for entries that are leaving, from slot `from` on, which it changes
    /// to where the next call is to go on.
    pub fn tidy(&mut self, from: &mut u32) -> Tidied {
        if self.unfinished == 0 {
            return Tidied::Nothing;
        }
        for _ in 0..SEARCH {
            let Some(slot) = self.slots.get(*from) else { return Tidied::Nothing };
            let (state, node) = (slot.node.state.get(), NonNull::from(&slot.node));
            if state & ABANDONED != 0 {
                return Tidied::Abandoned(*from);
            }
            if state & LEAVING != 0
                && let Content::Held(entry) = slot.content()
                // SAFETY: the node of an entry of this object, whose table is locked.
                && !unsafe { Tree::of(entry.capability().object.header()).is_marked(node) }
            {
                // SAFETY: it is in this table.
                return match unsafe { self.leave(node) } {
                    Closed::Entry(entry) => Tidied::Entry(entry),
                    Closed::Leaving | Closed::All => Tidied::More,
                };
            }
            *from += 1;
        }
        Tidied::More
    }
}
