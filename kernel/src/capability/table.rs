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
//! 1. It is closed, or moved, and many others were derived from it, or a revoke of those goes on; 2. it is
//! closed, or killed by a revoke; 3. they have got another parent, in steps, and no revoke needs it any
//! more. A leaving one is found by nobody: its handle is stale. Its slot can be used again after 3. Whoever
//! can't finish that leaves it to the process's reaper: [`leaving`].

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use orbital_abi::{CapSlot, Error, ObjectKind};
use spin::{Mutex, MutexGuard};

use super::{
    Capability, EntryGuard,
    derivation::{Node, Tree},
    slots::{Content, Empty, Slot, Slots, index_of, slot_of},
};
use crate::{
    lock::lock,
    object::{Header, Object, Quota, Ref},
};

pub mod leaving;
#[cfg(test)]
mod tests;

/// The capability is closed, and its children have yet to get another parent.
const LEAVING: u8 = 1;
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
        let table = Self { header: Header::new::<Self>(), entries: Mutex::new(Entries::new()) };
        let table = match payer {
            Some(payer) => Ref::new_in(payer, table),
            None => Ref::new(table),
        }?;
        table.lock().table = NonNull::from(&table.header);
        Ok(table)
    }

    /// Locks it.
    #[inline(always)]
    pub fn lock(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
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
    free: Option<u32>,
    /// Whether the process has ended: nothing is added any more.
    is_closed: bool,
    /// How many slots are leaving or abandoned.
    unfinished: u32,
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
    /// It is leaving.
    Leaving,
    /// There was none.
    All,
}

impl Entries {
    const fn new() -> Self {
        let table = NonNull::dangling();
        Self { slots: Slots::new(), free: None, is_closed: false, unfinished: 0, table }
    }

    /// What `slot` holds.
    ///
    /// # Errors
    /// [`Error::EmptySlot`] for a handle that never named anything, [`Error::StaleCapability`] for
    /// one whose capability was closed.
    #[inline(always)]
    pub fn lookup(&self, slot: CapSlot) -> Result<&Capability, Error> {
        self.find(slot).map(|(_, capability)| capability)
    }

    /// The same, with the slot itself.
    ///
    /// # Errors
    /// As [`Entries::lookup`].
    #[inline(always)]
    pub(super) fn find(&self, slot: CapSlot) -> Result<(&Slot, &Capability), Error> {
        let found = self.slots.get(slot.index()).ok_or(Error::EmptySlot)?;
        match found.content() {
            Content::Held(entry)
                if found.node.generation.get() == slot.generation()
                    && found.node.state.get() & LEAVING == 0 =>
            {
                Ok((found, entry.capability()))
            }
            _ => Err(Self::why_not(found, slot)),
        }
    }

    /// Why `slot` does not name what is there.
    #[cold]
    fn why_not(found: &Slot, slot: CapSlot) -> Error {
        let generation = found.node.generation.get();
        match found.content() {
            _ if slot.generation() == 0 || slot.generation() > generation => Error::EmptySlot,
            // A free slot has the generation of its next capability.
            Content::Empty(Empty::Free { .. }) if slot.generation() == generation => {
                Error::EmptySlot
            }
            _ => {
                STALE.fetch_add(1, Relaxed);
                Error::StaleCapability
            }
        }
    }

    /// Puts `capability`, which was derived from no other, into a free slot. More slots are paid by `quota`.
    ///
    /// # Errors
    /// [`Error::TableFull`] at [`MAX_SLOTS`](super::slots::MAX_SLOTS), [`Error::QuotaExceeded`], and
    /// [`Error::Ended`] after [`Entries::close_one`].
    pub fn insert(&mut self, capability: Capability, quota: &Ref<Quota>) -> Result<CapSlot, Error> {
        let node = self.reserve(quota)?;
        // SAFETY: it was just reserved.
        Ok(unsafe { self.fill(node, EntryGuard::new(capability)) })
    }

    /// The node of a slot that [`Entries::fill`] can fill. More slots are paid by `quota`.
    ///
    /// # Errors
    /// As [`Entries::insert`].
    pub(super) fn reserve(&mut self, quota: &Ref<Quota>) -> Result<NonNull<Node>, Error> {
        if self.is_closed {
            return Err(Error::Ended);
        }
        let index = match self.free {
            Some(index) => index,
            None => {
                let first = self.slots.add_leaf(self.table, quota)?;
                self.free = Some(first);
                first
            }
        };
        let slot = self.slots.get(index).ok_or(Error::TableFull)?;
        Ok(NonNull::from(&slot.node))
    }

    /// Fills the slot that was reserved last.
    ///
    /// # Safety
    /// Its node came from [`Entries::reserve`], and nothing was added since.
    #[inline]
    pub(super) unsafe fn fill(&mut self, node: NonNull<Node>, entry: EntryGuard) -> CapSlot {
        // SAFETY: the caller's; nobody refers to what is in a free slot.
        let (slot, index) = unsafe { (slot_of(node), index_of(node)) };
        let handle = CapSlot::new(index, slot.node.generation.get());
        // SAFETY: as above.
        let free = unsafe { slot.replace(Content::Held(entry)) };
        if let Content::Empty(Empty::Free { next }) = free {
            self.free = next;
        }
        handle
    }

    /// Empties `slot` and gives what it held.
    ///
    /// # Errors
    /// Those of [`Entries::lookup`].
    pub fn remove(&mut self, slot: CapSlot) -> Result<Closed, Error> {
        let (found, _) = self.find(slot)?;
        let node = NonNull::from(&found.node);
        // SAFETY: it is in this table.
        Ok(unsafe { self.leave(node) })
    }

    /// Takes an entry out of its tree and its slot, if that is no long way and nobody needs it there.
    ///
    /// # Safety
    /// The node stands in this table.
    unsafe fn leave(&mut self, node: NonNull<Node>) -> Closed {
        // SAFETY: the caller's; the table is borrowed.
        let slot = unsafe { slot_of(node) };
        let Content::Held(entry) = slot.content() else { return Closed::All };
        let has_left = {
            let tree = Tree::of(entry.capability().object.header());
            // SAFETY: the node of an entry of this object, whose table is locked.
            unsafe { tree.leave(node) }
        };
        if !has_left {
            self.set_state(slot, LEAVING);
            return Closed::Leaving;
        }
        // SAFETY: the caller's.
        unsafe { self.free(node) }.map_or(Closed::All, Closed::Entry)
    }

    /// Adds to what is to be done with a slot.
    fn set_state(&mut self, slot: &Slot, state: u8) {
        let before = slot.node.state.get();
        slot.node.state.set(before | state);
        self.unfinished += u32::from(before == 0);
    }

    fn clear_state(&mut self, slot: &Slot, state: u8) {
        let before = slot.node.state.get();
        slot.node.state.set(before & !state);
        self.unfinished -= u32::from(before != 0 && before & !state == 0);
    }

    /// Empties a slot whose entry is in no tree any more.
    ///
    /// # Safety
    /// Its node stands in this table, and nobody refers to what is in it.
    #[inline]
    pub(super) unsafe fn free(&mut self, node: NonNull<Node>) -> Option<EntryGuard> {
        // SAFETY: the caller's; the table is borrowed.
        let (slot, index) = unsafe { (slot_of(node), index_of(node)) };
        let next_generation = slot.node.generation.get().checked_add(1);
        let emptied = match next_generation {
            Some(_) => Empty::Free { next: self.free },
            None => Empty::Retired,
        };
        if slot.node.state.get() != 0 {
            self.clear_state(slot, u8::MAX);
        }
        // SAFETY: the caller's.
        let Content::Held(entry) = (unsafe { slot.replace(Content::Empty(emptied)) }) else {
            debug_assert!(false, "an empty slot is emptied");
            return None;
        };
        if let Some(generation) = next_generation {
            slot.node.generation.set(generation);
            self.free = Some(index);
        }
        Some(entry)
    }

    /// An entry's children have another parent but for those that will get one: it leaves.
    ///
    /// # Safety
    /// The node stands in this table.
    pub(super) unsafe fn leave_later(&mut self, node: NonNull<Node>) {
        // SAFETY: the caller's; the table is borrowed.
        self.set_state(unsafe { slot_of(node) }, LEAVING);
    }

    /// How many entries are leaving or abandoned.
    pub fn unfinished(&self) -> u32 {
        self.unfinished
    }

    /// Takes any capability out, for the end of the process; a step of that. From the first call on nothing
    /// can be added. Nobody revokes any more what was derived from one of them.
    pub fn close_one(&mut self) -> Closed {
        self.is_closed = true;
        while let Some(leaf) = self.slots.last() {
            let held = leaf.iter().rfind(|slot| matches!(slot.content(), Content::Held(_)));
            let Some(held) = held else {
                self.slots.remove_leaf();
                self.free = None;
                continue;
            };
            let node = NonNull::from(&held.node);
            // SAFETY: it is in this table.
            return unsafe { self.leave(node) };
        }
        Closed::All
    }
}
