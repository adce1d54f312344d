//! A process's table of capabilities: slots in chunks, so that growing moves nothing, and a list
//! of the free ones, so that adding and closing take the same few steps whatever the size.
//!
//! The table itself has no lock: its process does. An entry that leaves the table is given back to
//! the caller, who drops it after unlocking, since the end of an object may need other locks.
#![forbid(unsafe_code)]

use alloc::{boxed::Box, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_abi::{CapSlot, Error};

use super::{Capability, EntryGuard};
use crate::{
    memory::heap,
    object::{Charge, Quota, Ref},
};

#[cfg(test)]
mod tests;

const CHUNK_SLOTS: usize = 64;
/// The most slots that a table can have.
pub const MAX_SLOTS: usize = 1 << 16;

/// Uses of stale handles, since boot.
static STALE: AtomicU64 = AtomicU64::new(0);

/// How often a stale handle was used, since boot.
pub fn stale_uses() -> u64 {
    STALE.load(Relaxed)
}

struct Slot {
    /// 1 for the first capability that the slot holds; a generation is never 0.
    generation: u32,
    content: Content,
}

enum Content {
    Free {
        next: Option<u32>,
    },
    Held(EntryGuard),
    /// The generation has run out: a handle of the past could come alive again.
    Retired,
}

type Chunk = [Slot; CHUNK_SLOTS];

/// The capabilities of one process.
pub struct Table {
    chunks: Vec<(Box<Chunk>, Charge)>,
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
        Self { chunks: Vec::new(), free: None, closed: false }
    }

    fn slot(&self, slot: CapSlot) -> Option<&Slot> {
        let index = slot.index() as usize;
        Some(&self.chunks.get(index / CHUNK_SLOTS)?.0[index % CHUNK_SLOTS])
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot> {
        let index = index as usize;
        Some(&mut self.chunks.get_mut(index / CHUNK_SLOTS)?.0[index % CHUNK_SLOTS])
    }

    /// What `slot` holds.
    ///
    /// # Errors
    /// [`Error::EmptySlot`] for a handle that never named anything, [`Error::StaleCapability`] for
    /// one whose capability was closed.
    pub fn lookup(&self, slot: CapSlot) -> Result<&Capability, Error> {
        let found = self.slot(slot).ok_or(Error::EmptySlot)?;
        match &found.content {
            Content::Held(entry) if found.generation == slot.generation() => Ok(entry.capability()),
            _ if slot.generation() == 0 || slot.generation() > found.generation => {
                Err(Error::EmptySlot)
            }
            // A free slot has the generation of its next capability.
            Content::Free { .. } if slot.generation() == found.generation => Err(Error::EmptySlot),
            _ => {
                STALE.fetch_add(1, Relaxed);
                Err(Error::StaleCapability)
            }
        }
    }

    /// Puts `capability` into a free slot. More slots are paid by `quota`.
    ///
    /// # Errors
    /// [`Error::TableFull`] at [`MAX_SLOTS`], [`Error::QuotaExceeded`], and [`Error::Ended`] after
    /// [`Table::close_one`].
    pub fn insert(&mut self, capability: Capability, quota: &Ref<Quota>) -> Result<CapSlot, Error> {
        if self.closed {
            return Err(Error::Ended);
        }
        let index = match self.free {
            Some(index) => index,
            None => self.grow(quota)?,
        };
        let slot = self.slot_mut(index).ok_or(Error::TableFull)?;
        let Content::Free { next } = slot.content else { return Err(Error::TableFull) };
        slot.content = Content::Held(EntryGuard::new(capability));
        let handle = CapSlot::new(index, slot.generation);
        self.free = next;
        Ok(handle)
    }

    /// Adds a chunk; gives its first slot.
    fn grow(&mut self, quota: &Ref<Quota>) -> Result<u32, Error> {
        let first = self.chunks.len() * CHUNK_SLOTS;
        if first >= MAX_SLOTS {
            return Err(Error::TableFull);
        }
        let charge = Charge::new(quota, 0, size_of::<Chunk>() as u64)?;
        self.chunks.try_reserve(1).map_err(|_| Error::QuotaExceeded)?;
        let chunk = heap::try_box(core::array::from_fn(|offset| {
            let next = offset + 1;
            Slot {
                generation: 1,
                content: Content::Free {
                    next: (next < CHUNK_SLOTS).then_some((first + next) as u32),
                },
            }
        }))
        .map_err(|_| Error::QuotaExceeded)?;
        self.chunks.push((chunk, charge));
        self.free = Some(first as u32);
        Ok(first as u32)
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
        let slot = self.slot_mut(index)?;
        if !matches!(slot.content, Content::Held(_)) {
            return None;
        }
        let next_generation = slot.generation.checked_add(1);
        let emptied = match next_generation {
            Some(_) => Content::Free { next: free },
            None => Content::Retired,
        };
        let Content::Held(entry) = core::mem::replace(&mut slot.content, emptied) else {
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
        while let Some((chunk, _)) = self.chunks.last() {
            let held = chunk.iter().rposition(|slot| matches!(slot.content, Content::Held(_)));
            match held {
                Some(offset) => {
                    let index = (self.chunks.len() - 1) * CHUNK_SLOTS + offset;
                    return self.take(index as u32);
                }
                None => {
                    self.chunks.pop();
                    self.free = None;
                }
            }
        }
        None
    }
}
