//! Looking at all that a table has, leaf by leaf, for whoever looks at the whole system: also an empty stretch is passed
//! in steps.

use core::sync::atomic::Ordering::Relaxed;

use orbital_abi::CapSlot;

use super::{Entries, Table};
use crate::capability::{
    Held,
    derivation::Tree,
    slot::{Slot, Task},
    slots::{LEAF_SLOTS, index_of, table_of},
};

/// What a step has come to.
pub enum Step<'a> {
    /// A capability, and its handle.
    Found(CapSlot, Held<'a>),
    /// There was none up to this index.
    Until(u32),
    /// There is none any more.
    End,
}

/// What a capability was derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The number of the process that has it.
    pub process: u64,
    /// The index of its slot.
    pub index: u32,
}

impl Entries {
    /// The first capability at `from` or behind, as far as the leaf goes that this index is in.
    pub fn look_from(&self, from: u32) -> Step<'_> {
        let (leaf, place) = (from as usize / LEAF_SLOTS, from as usize % LEAF_SLOTS);
        let Some(slots) = self.slots.leaf(leaf) else { return Step::End };
        let rest = slots.iter().skip(place);
        match rest.filter_map(|slot| Some((slot, slot.held()?))).next() {
            Some((slot, held)) => {
                Step::Found(CapSlot::new(index_of(slot), slot.generation()), held)
            }
            None => Step::Until(((leaf + 1) * LEAF_SLOTS) as u32),
        }
    }

    /// What one of its capabilities was derived from, if that is still there: what has left is passed over.
    pub fn source_of(&self, held: Held<'_>) -> Option<Source> {
        let tree = Tree::of(held.object().header());
        // SAFETY: the slot of an entry to this object, whose tree is locked.
        let parent = |slot: &Slot| unsafe { tree.parent_of(slot) }.map(core::ptr::from_ref);
        let mut source = parent(held.slot())?;
        loop {
            // SAFETY: in a tree that is locked, it stays.
            let slot = unsafe { &*source };
            if !slot.is_to(Task::Leaving) && !slot.is_kept() {
                // SAFETY: it is in a table, which outlives its slots.
                let table = unsafe { table_of(slot).cast::<Table>().as_ref() };
                return Some(Source { process: table.owner(), index: index_of(slot) });
            }
            source = parent(slot)?;
        }
    }
}

impl Table {
    /// The number of the process that has it; 0 before that is known.
    pub fn owner(&self) -> u64 {
        self.owner.load(Relaxed)
    }

    /// The process with this number has it from now on.
    pub fn set_owner(&self, number: u64) {
        self.owner.store(number, Relaxed);
    }
}
