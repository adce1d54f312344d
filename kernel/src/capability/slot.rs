//! A place for a capability in a table: which object, what it allows, and, since it stays where it is as long as its
//! table has it, the place in that object's [derivation](super::derivation) tree too. All of it in 48
//! bytes, for a process may have a million:
//!
//! | bytes | what | guarded by |
//! |---|---|---|
//! | 0–7 | the object; bit 0 is set where its capability leaves, or there is none: so no handle finds that | the table's lock |
//! | 8–15 | the badge, which stays as long as it is in the tree: who has that locked may read it | the table's lock |
//! | | of a free slot the next free one | the table's lock |
//! | 16–19 | the generation | the table's lock |
//! | 20–21 | the rights, in bits 0–12 | the table's lock |
//! | | bit 13: it was [derived from none](Held::is_root) | the table's lock |
//! | | bit 14: a thread was [seen](Slot::see_waiter) that waits by it; bit 15: threads [may](Held::note_wait) | the table's lock |
//! | 22 | which slot of its leaf it is; 255 for one that is [in no table](super::kept) | nobody: it stays |
//! | 23 | bits 0 to 2: what is [to be done](Task) with it | the table's lock |
//! | | bit 3: it is [arriving](Slot::is_arriving) | the tree's lock |
//! | | bits 4–7: how many revokes go on beneath it | both: who has either may read it |
//! | 24–47 | four [links](super::links) of the tree, 6 bytes each | the tree's lock |

use core::{
    cell::Cell,
    mem::ManuallyDrop,
    ptr::{self, NonNull},
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
};

use orbital_abi::{Error, Rights};

use super::{
    entry::{Capability, EntryGuard},
    links::Links,
};
use crate::object::{AnyRef, Header};

mod held;

pub use held::Held;

/// A place for a capability.
#[repr(C)]
pub struct Slot {
    object: Cell<*mut Header>,
    /// Atomic, as whoever has locked the tree reads it while it is filled with the badge that it has already.
    badge: AtomicU64,
    generation: Cell<u32>,
    rights: Cell<u16>,
    place: u8,
    state: AtomicU8,
    links: Links<Self>,
}

const _: () = assert!(size_of::<Slot>() == 48 && size_of::<AnyRef>() == size_of::<u64>());
/// In the place of an object: no handle finds it.
const HIDDEN: usize = 1;
/// Of no object.
const FREE: *mut Header = ptr::without_provenance_mut(HIDDEN);

/// In the place of a place in a leaf: it is in none.
const KEPT: u8 = u8::MAX;

const ROOT: u16 = 1 << 13;
const SEEN: u16 = 1 << 14;
const WAITED: u16 = 1 << 15;
const OTHERS: u16 = ROOT | SEEN | WAITED;
const _: () = assert!(Rights::all().bits() < ROOT as u32);

// SAFETY: each field is touched only under the lock that the table above names, and the state, which has several, is
// atomic.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

/// What is to be done with a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Its capability is closed, and stays in the tree until that can do without.
    Leaving = 1,
    /// Whoever revoked all that was derived from it has died. A mark is there still.
    Abandoned = 2,
    /// The same, of what has some badge.
    AbandonedCut = 4,
}

const TASKS: u8 = Task::Leaving as u8 | Task::Abandoned as u8 | Task::AbandonedCut as u8;
const ARRIVING: u8 = 1 << 3;
const MARK: u8 = 1 << 4;

impl Slot {
    /// A free one in no tree, at the place `place` of its leaf. `next` is the next free one.
    pub const fn new(place: u8, next: Option<u32>) -> Self {
        Self {
            object: Cell::new(FREE),
            badge: AtomicU64::new(encode(next)),
            generation: Cell::new(1),
            rights: Cell::new(0),
            place,
            state: AtomicU8::new(0),
            links: Links::none(),
        }
    }

    /// One in no table, that holds `object` with `badge`, for what the kernel [keeps](super::kept) itself.
    pub fn kept(object: AnyRef, badge: u64) -> Self {
        let slot = Self::new(KEPT, None);
        slot.object.set(object.into_raw().as_ptr());
        slot.set_badge(badge);
        slot
    }

    /// Whether it is in no table.
    #[inline]
    pub fn is_kept(&self) -> bool {
        self.place == KEPT
    }

    /// Which slot of its leaf it is.
    #[inline]
    pub fn place(&self) -> usize {
        self.place.into()
    }

    /// What a handle must have to name what is there, or, where nothing is, what will be. 0 when it has run out: a
    /// handle of the past could come alive again.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation.get()
    }

    fn end_generation(&self) {
        self.generation.set(self.generation.get().wrapping_add(1));
    }

    /// Lets generations run out.
    #[cfg(test)]
    pub fn set_generation(&self, generation: u32) {
        self.generation.set(generation);
    }

    /// What it holds, unless that leaves.
    #[inline(always)]
    pub fn held(&self) -> Option<Held<'_>> {
        if self.object.get().addr() & HIDDEN != 0 {
            return None;
        }
        // SAFETY: a reference is there, which is nothing but the pointer. A slot is only to be had by who has its
        // table's lock; who changes it sees to the rest.
        Some(Held { slot: self, object: unsafe { &*self.object.as_ptr().cast::<AnyRef>() } })
    }

    /// Fills it, which is free. The next free one.
    ///
    /// # Safety
    /// Nobody refers to what is there.
    #[inline]
    pub unsafe fn fill(&self, capability: Capability) -> Option<u32> {
        let Capability { object, rights, badge } = capability;
        object.header().capability_added(rights.contains(Rights::RECEIVE));
        self.rights.set(rights.bits() as u16);
        self.object.set(object.into_raw().as_ptr());
        let next = self.next();
        self.set_badge(badge);
        next
    }

    /// The next of those that are free, or set aside, as this one is.
    pub fn next(&self) -> Option<u32> {
        decode(self.badge.load(Relaxed))
    }

    /// Lets another one be the next.
    pub fn set_next(&self, next: Option<u32>) {
        self.badge.store(encode(next), Relaxed);
    }

    /// It is about to be filled with a capability that has this badge; [`Slot::next`] was noted.
    pub fn set_badge(&self, badge: u64) {
        self.badge.store(badge, Relaxed);
    }

    /// The object of what is there, be that leaving or not.
    #[inline]
    pub fn object(&self) -> Option<ManuallyDrop<AnyRef>> {
        let object = NonNull::new(self.object.get().map_addr(|at| at & !HIDDEN))?;
        // SAFETY: `fill` has put it there, who still owns it.
        Some(ManuallyDrop::new(unsafe { AnyRef::from_raw(object) }))
    }

    /// The badge of what is there. For who has the table or, where it is in one, the tree locked.
    #[inline]
    pub fn badge(&self) -> u64 {
        self.badge.load(Relaxed)
    }

    /// Its capability leaves, if it does not already. All handles are stale from here on, and it is counted out when
    /// what this gives is dropped.
    ///
    /// # Safety
    /// Nobody refers to what is there.
    pub unsafe fn begin_leaving(&self) -> Option<EntryGuard> {
        let guard = EntryGuard::new(self.held()?.object.clone(), self.rights());
        self.object.update(|object| object.map_addr(|at| at | HIDDEN));
        self.set_task(Task::Leaving);
        self.end_generation();
        Some(guard)
    }

    /// Empties it, which is in no tree, and about which nothing more is to be done.
    ///
    /// # Safety
    /// Nobody refers to what is there.
    #[inline]
    pub unsafe fn empty(&self, next: Option<u32>) -> Option<AnyRef> {
        let object = self.object.replace(FREE);
        let hidden = object.addr() & HIDDEN;
        let object = NonNull::new(object.map_addr(|at| at ^ hidden))?;
        if hidden == 0 {
            self.end_generation();
        }
        self.badge.store(encode(next), Relaxed);
        self.state.store(0, Relaxed);
        // SAFETY: `fill` has put it there, and it is not there any more.
        Some(unsafe { AnyRef::from_raw(object) })
    }

    /// What is allowed by what is there, or was there last.
    #[inline]
    pub fn rights(&self) -> Rights {
        Rights::from_bits_retain((self.rights.get() & !OTHERS).into())
    }

    /// What it holds was derived from no other.
    pub fn set_root(&self) {
        self.rights.update(|rights| rights | ROOT);
    }

    /// Whether threads may wait by it.
    #[inline]
    pub fn is_waited(&self) -> bool {
        self.rights.get() & WAITED != 0
    }

    /// Nobody does any more.
    pub fn end_waits(&self) {
        self.rights.update(|rights| rights & !WAITED);
    }

    /// Forgets who was seen.
    pub fn forget_waiters(&self) {
        self.rights.update(|rights| rights & !SEEN);
    }

    /// A thread waits by it, even if it leaves.
    pub fn see_waiter(&self) {
        self.rights.update(|rights| rights | SEEN);
    }

    /// Whether one was seen since they were forgotten.
    pub fn is_seen(&self) -> bool {
        self.rights.get() & SEEN != 0
    }

    /// Whether this is to be done.
    #[inline]
    pub fn is_to(&self, task: Task) -> bool {
        self.state.load(Relaxed) & task as u8 != 0
    }

    /// Whether anything is to be done.
    #[inline]
    pub fn is_busy(&self) -> bool {
        self.state.load(Relaxed) & TASKS != 0
    }

    /// This is to be done from now on.
    pub fn set_task(&self, task: Task) {
        self.state.fetch_or(task as u8, Relaxed);
    }

    /// This is done.
    pub fn clear_task(&self, task: Task) {
        self.state.fetch_and(!(task as u8), Relaxed);
    }

    /// Whether its capability was moved here, and the sibling behind it, where that was before, still has some of
    /// its children.
    #[inline]
    pub fn is_arriving(&self) -> bool {
        self.state.load(Relaxed) & ARRIVING != 0
    }

    /// Its children begin to come.
    pub fn begin_arriving(&self) {
        self.state.fetch_or(ARRIVING, Relaxed);
    }

    /// They have come.
    pub fn end_arriving(&self) {
        self.state.fetch_and(!ARRIVING, Relaxed);
    }

    /// Whether a revoke goes on beneath it.
    #[inline]
    pub fn is_marked(&self) -> bool {
        self.state.load(Relaxed) >= MARK
    }

    /// Whether it is marked or leaves.
    #[inline]
    pub fn is_marked_or_leaving(&self) -> bool {
        let others = ARRIVING | Task::Abandoned as u8 | Task::AbandonedCut as u8;
        self.state.load(Relaxed) & !others != 0
    }

    /// How many revokes go on beneath it.
    pub fn marks(&self) -> u8 {
        self.state.load(Relaxed) / MARK
    }

    /// One more revoke goes on beneath it.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] when 15 do.
    pub fn mark(&self) -> Result<(), Error> {
        if self.state.load(Relaxed).checked_add(MARK).is_none() {
            return Err(Error::QuotaExceeded);
        }
        self.state.fetch_add(MARK, Relaxed);
        Ok(())
    }

    /// One less does.
    pub fn unmark(&self) {
        debug_assert!(self.is_marked(), "a mark is taken away that nobody has made");
        self.state.fetch_sub(MARK, Relaxed);
    }

    /// Its place in the tree, to be touched by who has that locked.
    #[inline(always)]
    pub fn links(&self) -> &Links<Self> {
        &self.links
    }
}

/// The next free slot, as it stands in the place of a badge.
const fn encode(next: Option<u32>) -> u64 {
    match next {
        Some(next) => next as u64,
        None => u64::MAX,
    }
}

fn decode(badge: u64) -> Option<u32> {
    u32::try_from(badge).ok()
}
