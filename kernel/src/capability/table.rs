//! A process's table of capabilities: [slots](super::slots), and a list of the free ones, so that adding
//! and closing take the same few steps whatever the size.
//!
//! The table itself has no lock: its process does. An entry that leaves the table is given back to
//! the caller, who drops it after unlocking, since the end of an object may need other locks.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_abi::{CapSlot, Error};

use super::{
    Capability, EntryGuard,
    slots::{Content, Empty, Slot, Slots},
};
use crate::object::{Quota, Ref};

#[cfg(test)]
mod tests;

/// Uses of stale handles, since boot.
static STALE: AtomicU64 = AtomicU64::new(0);

/// How often a stale handle was used, since boot.
pub fn stale_uses() -> u64 {
    STALE.load(Relaxed)
}

/// The capabilities of one process.
pub struct Table {
    slots: Slots,
    free: Option<u32>,
    /// Whether the process has ended: nothing is added any more.
    closed: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// An empty table, which takes no memory.
    pub const fn new() -> Self {
        Self { slots: Slots::new(), free: None, closed: false }
    }

    /// What `slot` holds.
    ///
    /// # Errors
    /// [`Error::EmptySlot`] for a handle that never named anything, [`Error::StaleCapability`] for
    /// one whose capability was closed.
    #[inline(always)]
    pub fn lookup(&self, slot: CapSlot) -> Result<&Capability, Error> {
        let found = self.slots.get(slot.index()).ok_or(Error::EmptySlot)?;
        match &found.content {
            Content::Held(entry) if found.generation == slot.generation() => Ok(entry.capability()),
            _ => Err(Self::why_not(found, slot)),
        }
    }

    /// Why `slot` does not name what is there.
    #[cold]
    fn why_not(found: &Slot, slot: CapSlot) -> Error {
        match &found.content {
            _ if slot.generation() == 0 || slot.generation() > found.generation => Error::EmptySlot,
            // A free slot has the generation of its next capability.
            Content::Empty(Empty::Free { .. }) if slot.generation() == found.generation => {
                Error::EmptySlot
            }
            _ => {
                STALE.fetch_add(1, Relaxed);
                Error::StaleCapability
            }
        }
    }

    /// Puts `capability` into a free slot. More slots are paid by `quota`.
    ///
    /// # Errors
    /// [`Error::TableFull`] at [`MAX_SLOTS`](super::slots::MAX_SLOTS), [`Error::QuotaExceeded`], and [`Error::Ended`] after
    /// [`Table::close_one`].
    pub fn insert(&mut self, capability: Capability, quota: &Ref<Quota>) -> Result<CapSlot, Error> {
        if self.closed {
            return Err(Error::Ended);
        }
        let index = match self.free {
            Some(index) => index,
            None => self.slots.add_leaf(quota)?,
        };
        let slot = self.slots.get_mut(index).ok_or(Error::TableFull)?;
        let Content::Empty(Empty::Free { next }) = slot.content else {
            return Err(Error::TableFull);
        };
        slot.content = Content::Held(EntryGuard::new(capability));
        let handle = CapSlot::new(index, slot.generation);
        self.free = next;
        Ok(handle)
    }

    /// Empties `slot` and gives what it held, to be dropped after unlocking.
    ///
    /// # Errors
    /// Those of [`Table::lookup`].
    pub fn remove(&mut self, slot: CapSlot) -> Result<EntryGuard, Error> {
        self.lookup(slot)?;
        self.take(slot.index()).ok_or(Error::EmptySlot)
    }

    fn take(&mut self, index: u32) -> Option<EntryGuard> {
        let free = self.free;
        let slot = self.slots.get_mut(index)?;
        if !matches!(slot.content, Content::Held(_)) {
            return None;
        }
        let next_generation = slot.generation.checked_add(1);
        let emptied = match next_generation {
            Some(_) => Empty::Free { next: free },
            None => Empty::Retired,
        };
        let Content::Held(entry) = core::mem::replace(&mut slot.content, Content::Empty(emptied))
        else {
            return None;
        };
        if let Some(generation) = next_generation {
            slot.generation = generation;
            self.free = Some(index);
        }
        Some(entry)
    }

    /// Takes any capability out, for the end of the process; `None` when the table is empty. From
    /// the first call on nothing can be added.
    pub fn close_one(&mut self) -> Option<EntryGuard> {
        self.closed = true;
        while let Some((first, leaf)) = self.slots.last() {
            let held = leaf.iter().rposition(|slot| matches!(slot.content, Content::Held(_)));
            match held {
                Some(offset) => return self.take(first + offset as u32),
                None => {
                    self.slots.remove_leaf();
                    self.free = None;
                }
            }
        }
        None
    }
}
