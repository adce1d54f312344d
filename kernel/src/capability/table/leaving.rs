//! Entries that can't leave at once: those with many children, those beneath which a revoke goes on, and those by which
//! threads wait. What a revoke does to the entries of a table, and what is left for the process's reaper.

use core::{
    num::NonZeroU64,
    ptr::{self, NonNull},
};

use orbital_abi::CapSlot;

use super::{Closed, Entries};
use crate::{
    capability::{
        derivation::Tree,
        slot::{Slot, Task},
        slots::index_of,
    },
    object::AnyRef,
};

/// How many slots one step looks at that searches for something to be done. Each is a walk through the table's tree.
const SEARCH: u32 = 32;

/// What [`Entries::tidy`] has found.
pub enum Tidied {
    /// Something, and may find more.
    More,
    /// An entry has left: to be dropped after unlocking.
    Left(Closed),
    /// A revoke that nobody goes on with, of what was derived from the entry with this index.
    Abandoned(u32),
    /// Threads may wait at this object by the entry with this index, which was closed or moved. It is to be
    /// [told](Entries::waits_swept) when all who wait there were looked at since.
    Waits(u32, AnyRef),
    /// Nothing more.
    Nothing,
}

impl Entries {
    /// Kills an entry, which has no children, in the name of whoever revokes what it was derived from.
    ///
    /// # Safety
    /// The slot is in the tree, and in this table.
    #[inline]
    pub(in crate::capability) unsafe fn kill(&mut self, slot: &Slot, tree: &Tree<'_>) -> Closed {
        // SAFETY: the caller's.
        unsafe { tree.unlink(slot) };
        slot.end_waits();
        if slot.is_marked() {
            // Whoever has marked it finds that nothing is left beneath it.
            // SAFETY: the caller's.
            return Closed::Leaving(unsafe { self.leave_later(slot) });
        }
        // SAFETY: the caller's.
        unsafe { self.empty(slot, index_of(slot)) }
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

    /// A cut of what was derived from the entry in `slot` is over, if it is that with this number which goes on.
    pub(in crate::capability) fn end_cut(
        &mut self,
        slot: NonNull<Slot>,
        object: &AnyRef,
        number: NonZeroU64,
    ) -> Closed {
        if !Tree::of(object.header()).end_cut(number) {
            return Closed::All;
        }
        // SAFETY: the slot is there, for it was marked until now, and nobody else takes this mark.
        unsafe {
            let slot = slot.as_ref();
            self.with_tasks(slot, || slot.clear_task(Task::AbandonedCut));
            self.unmark(slot)
        }
    }

    /// Nobody goes on with a cut, unless someone else helps.
    pub(in crate::capability) fn abandon_cut(
        &mut self,
        slot: NonNull<Slot>,
        object: &AnyRef,
        number: NonZeroU64,
    ) {
        let is_on = Tree::of(object.header()).is_on(number);
        if is_on {
            // SAFETY: it is marked until that is over, which takes the table's lock.
            let slot = unsafe { slot.as_ref() };
            self.with_tasks(slot, || slot.set_task(Task::AbandonedCut));
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

    /// Takes over the mark of a revoke that was abandoned; and the number of that, if it is a cut.
    pub(in crate::capability) fn take_abandoned(
        &mut self,
        index: u32,
    ) -> Option<(NonNull<Slot>, AnyRef, Option<NonZeroU64>)> {
        let slot = self.slots.get(index)?;
        let object = AnyRef::clone(&*slot.object()?);
        if slot.is_to(Task::Abandoned) {
            self.with_tasks(slot, || slot.clear_task(Task::Abandoned));
            return Some((NonNull::from(slot), object, None));
        }
        self.with_tasks(slot, || slot.clear_task(Task::AbandonedCut));
        let number = {
            let tree = Tree::of(object.header());
            tree.goes_on().filter(|(_, root)| ptr::eq(*root, slot))?.0
        };
        Some((NonNull::from(slot), object, Some(number)))
    }

    /// Whether a thread that came by this handle waits by a capability that is in its tree: the thread was seen, then. It
    /// need not be in its slot any more.
    pub fn stands(&self, slot: CapSlot) -> bool {
        let Some(found) = self.slots.get(slot.index()) else { return false };
        let leaves = found.is_to(Task::Leaving) && found.is_waited();
        let generation = slot.generation().wrapping_add(leaves.into());
        let stands = (leaves || found.held().is_some()) && found.generation() == generation;
        if stands {
            found.see_waiter();
        }
        stands
    }

    /// All were seen who wait by the entry with this index. If nobody does, it can leave.
    pub fn waits_swept(&mut self, index: u32) -> Closed {
        let slot = self.slots.get(index).filter(|slot| slot.is_to(Task::Leaving));
        let Some(slot) = slot.filter(|slot| !slot.is_seen()) else { return Closed::All };
        slot.end_waits();
        // SAFETY: it is in this table.
        unsafe { self.leave(slot) }
    }

    fn tidy_leaving(&self, slot: &Slot, from: &mut u32) -> Tidied {
        if slot.is_waited()
            && let Some(object) = slot.object()
        {
            // SAFETY: the slot of an entry to this object, whose table is locked.
            if !unsafe { Tree::of(object.header()).shed(slot) } {
                return Tidied::More;
            }
            slot.forget_waiters();
            // Where somebody waits, the next call would be no wiser.
            *from += 1;
            return Tidied::Waits(*from - 1, AnyRef::clone(&object));
        }
        // SAFETY: it is in this table.
        match unsafe { self.leave(slot) } {
            Closed::Leaving(_) | Closed::All => Tidied::More,
            left => Tidied::Left(left),
        }
    }

    /// Does a step of what is left to be done for entries that are leaving, from slot `from` on, which it changes
    /// to where the next call is to go on.
    pub fn tidy(&mut self, from: &mut u32) -> Tidied {
        if self.unfinished() == 0 {
            return Tidied::Nothing;
        }
        *from = self.first_unfinished.get().max(*from);
        for _ in 0..SEARCH {
            let Some(slot) = self.slots.get(*from) else { return Tidied::Nothing };
            if slot.is_to(Task::Abandoned) || slot.is_to(Task::AbandonedCut) {
                return Tidied::Abandoned(*from);
            }
            // What is marked goes when it is so no more.
            if slot.is_to(Task::Leaving) && !slot.is_marked() {
                return self.tidy_leaving(slot, from);
            }
            *from += 1;
        }
        Tidied::More
    }
}
