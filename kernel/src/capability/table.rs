//! A process's table of capabilities: [slots](super::slots), and a list of the free ones, so that adding
//! and closing take the same few steps whatever the size.
//!
//! The table is an object of its own, which only its process and the kernel know: who revokes follows the
//! [derivation](super::derivation) tree into other processes' tables, and keeps them by a reference. Two
//! tables are locked at once only to copy or move from one to the other: in the order of their addresses.
//!
//! An entry that leaves the table is given back to the caller, who drops it after unlocking, since the end of an
//! object may need other locks.
//!
//! ```text
//!          insert                1                   3
//!   Empty ───────► Held, live ──────► Held, leaving ───► Empty
//!                      │       2                          ▲
//!                      └──────────────────────────────────┘
//! ```
//! 1. It is closed, or moved, and many others were derived from it, or a revoke of those goes on, or threads may wait by
//! it; 2. it is closed, or killed by a revoke; 3. they have got another parent, in steps, no revoke needs it any more, and
//! nobody waits by it. A leaving one is found by nobody: its handle is stale. Its slot can be used again after 3. Whoever
//! can't finish that leaves it to the process's reaper: [`leaving`].

use core::{
    cell::Cell,
    ptr::NonNull,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use orbital_abi::{CapSlot, Error, ObjectKind};

use super::{
    Capability, EntryGuard,
    derivation::Tree,
    slot::{Held, Slot, Task},
    slots::{Slots, index_of},
};
use crate::{
    lock::{Mutex, MutexGuard},
    object::{AnyRef, Header, Object, Quota, Ref},
};

pub mod leaving;
pub mod reserved;
#[cfg(test)]
mod tests;
pub mod walk;

/// Uses of stale handles, since boot.
static STALE: AtomicU64 = AtomicU64::new(0);

/// How often a stale handle was used, since boot.
pub fn stale_uses() -> u64 {
    STALE.load(Relaxed)
}

/// The capabilities of one process.
#[repr(C)]
pub struct Table {
    header: Header,
    entries: Mutex<Entries>,
    /// Whether entries may be leaving by which threads wait.
    lingers: AtomicBool,
    /// The number of the process that has it.
    owner: AtomicU64,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Table {
    const KIND: Option<ObjectKind> = None;
}

impl Table {
    /// An empty table, in the memory of `payer`, or of the kernel's own.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn new(payer: Option<&Ref<Quota>>) -> Result<Ref<Self>, Error> {
        let table = Self {
            header: Header::new::<Self>(),
            entries: Mutex::new(Entries::new()),
            lingers: AtomicBool::new(false),
            owner: AtomicU64::new(0),
        };
        let table = match payer {
            Some(payer) => Ref::new_in(payer, table),
            None => Ref::new(table),
        }?;
        table.lock().table = NonNull::from(&table.header);
        Ok(table)
    }

    /// Whether threads wait by entries that are leaving: then its process's reaper is to be told when one waits no
    /// more.
    pub fn lingers(&self) -> bool {
        self.lingers.load(Relaxed)
    }

    /// Says so, before it is looked up who waits, and afterwards whether anybody does.
    pub fn set_lingers(&self, lingers: bool) {
        self.lingers.store(lingers, Relaxed);
    }

    /// Locks it, if that is possible at once.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, Entries>> {
        self.entries.try_lock()
    }

    /// Locks it.
    #[inline(always)]
    pub fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock()
    }
}

impl Drop for Table {
    /// One that no process ever ended with.
    fn drop(&mut self) {
        loop {
            let closed = self.lock().close_one();
            if matches!(closed, Closed::All) {
                return;
            }
        }
    }
}

/// What a table has.
pub struct Entries {
    slots: Slots,
    free: Cell<Option<u32>>,
    /// Whether the process has ended: nothing is added any more.
    is_closed: bool,
    /// How many slots are leaving or abandoned, and an index before which none is.
    unfinished: Cell<u32>,
    first_unfinished: Cell<u32>,
    /// The table's own header.
    table: NonNull<Header>,
}

// SAFETY: the pointer is only compared and handed on.
unsafe impl Send for Entries {}

/// What came of taking an entry out.
#[must_use]
pub enum Closed {
    /// Here it is, to be dropped after unlocking.
    Entry(EntryGuard),
    /// It was leaving, and has left; the same.
    Left(AnyRef),
    /// It is leaving; what is to be dropped after unlocking, unless it was so before.
    Leaving(Option<EntryGuard>),
    /// A part of the table had none any more, and is gone.
    Part,
    /// There was none.
    All,
}

impl Entries {
    const fn new() -> Self {
        Self {
            slots: Slots::new(),
            free: Cell::new(None),
            is_closed: false,
            unfinished: Cell::new(0),
            first_unfinished: Cell::new(u32::MAX),
            table: NonNull::dangling(),
        }
    }

    /// What `slot` holds.
    ///
    /// # Errors
    /// [`Error::EmptySlot`] for a handle that never named anything, [`Error::StaleCapability`] for
    /// one whose capability was closed.
    #[inline(always)]
    pub fn lookup(&self, slot: CapSlot) -> Result<Held<'_>, Error> {
        let found = self.slots.get(slot.index()).ok_or(Error::EmptySlot)?;
        if found.generation() != slot.generation() {
            return Err(Self::why_not(found, slot));
        }
        found.held().ok_or_else(|| Self::why_not(found, slot))
    }

    /// Why `slot` does not name what is there.
    #[cold]
    fn why_not(found: &Slot, slot: CapSlot) -> Error {
        // The generation of the next capability; 0 when there will be none.
        let next = found.generation().wrapping_add(found.held().is_some().into());
        let is_of_the_past = next == 0 || slot.generation() < next;
        if slot.generation() == 0 || !is_of_the_past {
            return Error::EmptySlot;
        }
        STALE.fetch_add(1, Relaxed);
        Error::StaleCapability
    }

    /// Puts `capability`, which was derived from no other, into a free slot. More slots are paid by `quota`.
    ///
    /// # Errors
    /// [`Error::TableFull`] at [`MAX_SLOTS`](super::slots::MAX_SLOTS), [`Error::QuotaExceeded`], and
    /// [`Error::Ended`] after [`Entries::close_one`].
    pub fn insert(&mut self, capability: Capability, quota: &Ref<Quota>) -> Result<CapSlot, Error> {
        let (slot, index) = self.reserve(quota)?;
        // SAFETY: it was just reserved.
        unsafe {
            let filled = self.fill(slot.as_ref(), index, capability);
            slot.as_ref().set_root();
            Ok(filled)
        }
    }

    /// A slot that [`Entries::fill`] can fill, and its index. More slots are paid by `quota`.
    ///
    /// # Errors
    /// As [`Entries::insert`].
    #[inline]
    pub(super) fn reserve(&mut self, quota: &Ref<Quota>) -> Result<(NonNull<Slot>, u32), Error> {
        if self.is_closed {
            return Err(Error::Ended);
        }
        let index = match self.free.get() {
            Some(index) => index,
            None => {
                let index = self.slots.add(self.table, quota)?;
                self.free.set(Some(index));
                index
            }
        };
        let slot = self.slots.get(index).ok_or(Error::TableFull)?;
        Ok((NonNull::from(slot), index))
    }

    /// Fills the slot that was reserved last; its handle.
    ///
    /// # Safety
    /// It came from [`Entries::reserve`], and nothing was added since.
    #[inline]
    pub(super) unsafe fn fill(&self, slot: &Slot, index: u32, capability: Capability) -> CapSlot {
        // SAFETY: nobody refers to what is in a free slot.
        self.free.set(unsafe { slot.fill(capability) });
        CapSlot::new(index, slot.generation())
    }

    /// Empties `slot` and gives what it held.
    ///
    /// # Errors
    /// Those of [`Entries::lookup`].
    #[inline(always)]
    pub fn remove(&mut self, slot: CapSlot) -> Result<Closed, Error> {
        let (index, held) = (slot.index(), self.lookup(slot)?);
        let (slot, header) = (held.slot(), held.object().header());
        // SAFETY: the slot of an entry to this object, whose table is locked.
        let is_out = !slot.is_waited() && unsafe { Tree::of(header).leave_at_once(slot) };
        // SAFETY: it is in this table.
        Ok(unsafe { if is_out { self.empty(slot, index) } else { self.leave_in_steps(slot) } })
    }

    /// The same for one that has children, or is needed where it is.
    ///
    /// # Safety
    /// As for [`Entries::leave`].
    #[cold]
    #[inline(never)]
    unsafe fn leave_in_steps(&self, slot: &Slot) -> Closed {
        // SAFETY: the caller's.
        unsafe {
            // The last one's end is the object's, which ends the waits.
            let is_last = slot.object().is_none_or(|it| it.header().is_last_capability());
            match slot.is_waited() && !is_last {
                true => Closed::Leaving(self.leave_later(slot)),
                false => self.leave(slot),
            }
        }
    }

    /// Takes an entry out of its tree and its slot, if that is no long way and nobody needs it there.
    ///
    /// # Safety
    /// The slot is in this table, which is borrowed for writing, and nothing that it holds.
    unsafe fn leave(&self, slot: &Slot) -> Closed {
        let Some(object) = slot.object() else { return Closed::All };
        let has_left = {
            let tree = Tree::of(object.header());
            // SAFETY: the slot of an entry to this object, whose table is locked.
            unsafe { tree.leave(slot) }
        };
        // SAFETY: the caller's.
        unsafe {
            if has_left {
                return self.empty(slot, index_of(slot));
            }
            Closed::Leaving(self.leave_later(slot))
        }
    }

    /// Changes what is to be done with a slot.
    fn with_tasks<R>(&self, slot: &Slot, change: impl FnOnce() -> R) -> R {
        let before = i32::from(slot.is_busy());
        let result = change();
        self.count_unfinished(i32::from(slot.is_busy()) - before);
        if slot.is_busy() {
            self.first_unfinished.update(|first| first.min(index_of(slot)));
        }
        result
    }

    fn count_unfinished(&self, change: i32) {
        self.unfinished.update(|count| count.wrapping_add_signed(change));
        if self.unfinished() == 0 {
            self.first_unfinished.set(u32::MAX);
        }
    }

    /// An entry leaves, but can't do so at once. Its handle is stale from now on.
    ///
    /// # Safety
    /// As for [`Entries::empty`], but that it is in a tree.
    pub(super) unsafe fn leave_later(&self, slot: &Slot) -> Option<EntryGuard> {
        // SAFETY: the caller's.
        self.with_tasks(slot, || unsafe { slot.begin_leaving() })
    }

    /// Empties the slot with this index, whose entry is in no tree any more.
    ///
    /// # Safety
    /// The slot is in this table, which is borrowed for writing, and nothing that it holds.
    #[inline]
    pub(super) unsafe fn empty(&self, slot: &Slot, index: u32) -> Closed {
        let leaves = slot.is_busy() && {
            self.count_unfinished(-1);
            slot.is_to(Task::Leaving)
        };
        // SAFETY: the caller's.
        let Some(object) = (unsafe { slot.empty(self.free.get()) }) else { return Closed::All };
        if slot.generation() != 0 {
            self.free.set(Some(index));
        }
        match leaves {
            true => Closed::Left(object),
            false => Closed::Entry(EntryGuard::new(object, slot.rights())),
        }
    }

    /// How many entries are leaving or abandoned.
    pub fn unfinished(&self) -> u32 {
        self.unfinished.get()
    }

    /// Takes any capability out, for the end of the process; a step of that. From the first call on nothing
    /// can be added. Nobody revokes any more what was derived from one of them.
    pub fn close_one(&mut self) -> Closed {
        self.is_closed = true;
        let Some(leaf) = self.slots.last() else { return Closed::All };
        let Some(slot) = leaf.iter().rfind(|slot| slot.object().is_some()) else {
            self.slots.remove_leaf();
            self.free.set(None);
            return Closed::Part;
        };
        // SAFETY: it is in this table.
        unsafe { self.leave(slot) }
    }
}
