//! Entries that can't leave at once: those with many children, and those beneath which a revoke goes on. What a revoke
//! does to the entries of a table, and what is left for the process's reaper.

use super::{Closed, Entries};
use crate::{
    capability::{
        EntryGuard,
        derivation::Tree,
        slot::{Slot, Task},
    },
    object::AnyRef,
};
use core::ptr::NonNull;

/// How many slots one step looks at that searches for something to be done.
const SEARCH: u32 = 256;

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
    /// The slot is in the tree, and in this table.
    #[inline]
    pub(in crate::capability) unsafe fn kill(
        &mut self,
        slot: &Slot,
        tree: &Tree<'_>,
    ) -> Option<EntryGuard> {
        // SAFETY: the caller's.
        unsafe { tree.unlink(slot) };
        if slot.is_marked() {
            // Whoever has marked it finds that nothing is left beneath it.
            // SAFETY: the caller's.
            unsafe { self.leave_later(slot) };
            return None;
        }
        // SAFETY: the caller's.
        unsafe { self.empty(slot) }
    }

    /// The entry that a revoke has marked can go, if it wants to, as far as that is concerned.
    ///
    /// # Safety
    /// The slot is in this table, and the mark is the caller's.
    pub(in crate::capability) unsafe fn unmark(&mut self, slot: &Slot) -> Closed {
        Self::take_mark(slot);
        if !slot.is_to(Task::Leaving) {
            return Closed::All;
        }
        // SAFETY: as above.
        unsafe { self.leave(slot) }
    }

    fn take_mark(slot: &Slot) {
        if let Some(object) = slot.object() {
            let _tree = Tree::of(object.header());
            slot.unmark();
        }
    }

    /// Nobody goes on with a revoke. Its mark stays for whoever tidies up, but one is enough.
    ///
    /// # Safety
    /// As [`Entries::unmark`].
    pub(in crate::capability) unsafe fn abandon(&mut self, slot: &Slot) {
        if slot.is_to(Task::Abandoned) {
            Self::take_mark(slot);
        } else {
            self.with_tasks(slot, || slot.set_task(Task::Abandoned));
        }
    }

    /// Takes over the mark of a revoke that was abandoned.
    pub(in crate::capability) fn take_abandoned(
        &mut self,
        index: u32,
    ) -> Option<(NonNull<Slot>, AnyRef)> {
        let slot = self.slots.get(index).filter(|slot| slot.is_to(Task::Abandoned))?;
        self.with_tasks(slot, || slot.clear_task(Task::Abandoned));
        Some((NonNull::from(slot), slot.object()?.clone()))
    }

    /// Does a step of what is left to be done for entries that are leaving, from slot `from` on, which it changes
    /// to where the next call is to go on.
    pub fn tidy(&mut self, from: &mut u32) -> Tidied {
        if self.unfinished() == 0 {
            return Tidied::Nothing;
        }
        for _ in 0..SEARCH {
            let Some(slot) = self.slots.get(*from) else { return Tidied::Nothing };
            if slot.is_to(Task::Abandoned) {
                return Tidied::Abandoned(*from);
            }
            // What is marked goes when it is so no more.
            if slot.is_to(Task::Leaving) && !slot.is_marked() {
                // SAFETY: it is in this table.
                return match unsafe { self.leave(slot) } {
                    Closed::Entry(entry) => Tidied::Entry(entry),
                    Closed::Leaving | Closed::All => Tidied::More,
                };
            }
            *from += 1;
        }
        Tidied::More
    }
}
