//! Where a table's slots lie: in a tree whose leaves hold slots and whose other nodes hold nodes. Each
//! node is half a [slab](crate::memory::slab) of the quota that pays for the table, so a table grows by
//! small steps, nothing is ever moved, and no table needs memory in one piece.
//!
//! ```text
//!   height 0       1                 2
//!     leaf        node              node
//!                 │  └──────┐       │  └────┐
//!                leaf  …  leaf     node  … node
//! ```
//! Leaves are added and removed at the end. When the tree is full its root becomes the first node of a
//! new root. Of the last leaf only those slots are written that were wanted so far: the others are not looked at.
//!
//! From a [slot](super::slot), which stays where it is as long as its table has it, a way leads to its leaf, and
//! to the table whose leaf that is.

use core::{
    mem::{MaybeUninit, offset_of},
    ptr::NonNull,
};

use orbital_abi::Error;

use super::slot::Slot;
use crate::object::{Header, Paid, Quota, Ref};

/// Slots of a leaf.
pub const LEAF_SLOTS: usize = 41;
/// Nodes beneath a node.
const FAN: usize = 126;
/// Leaves of a full table.
const MAX_LEAVES: usize = 25_000;
/// The most slots that a table can have: more than a million.
pub const MAX_SLOTS: usize = LEAF_SLOTS * MAX_LEAVES;

/// Slots with following indices.
#[repr(C)]
pub struct Leaf {
    /// The table that has it.
    table: NonNull<Header>,
    /// The first one's index.
    first: u32,
    /// Written as far as [`Slots::count`] says.
    slots: [MaybeUninit<Slot>; LEAF_SLOTS],
}

// SAFETY: the table outlives its leaves; slots look after themselves.
unsafe impl Send for Leaf {}
// SAFETY: as above.
unsafe impl Sync for Leaf {}

type Branch = [Option<Place>; FAN];

enum Place {
    Leaf(Paid<Leaf>),
    Branch(Paid<Branch>),
}

// Two share a slab.
const _: () = assert!(size_of::<Leaf>() <= 2016 && size_of::<Branch>() <= 2016);
const _: () = assert!(LEAF_SLOTS < u8::MAX as usize);

#[inline]
fn leaf_of(slot: &Slot) -> NonNull<Leaf> {
    // SAFETY: a slot knows its place in its leaf.
    unsafe { NonNull::from(slot).sub(slot.place()).byte_sub(offset_of!(Leaf, slots)).cast() }
}

/// The table that has `slot`.
#[inline]
pub(super) fn table_of(slot: &Slot) -> NonNull<Header> {
    // SAFETY: its leaf is there as long as it is, and this does not change.
    unsafe { (*leaf_of(slot).as_ptr()).table }
}

/// The index of `slot`.
#[inline]
pub(super) fn index_of(slot: &Slot) -> u32 {
    // SAFETY: as in `table_of`.
    unsafe { (*leaf_of(slot).as_ptr()).first + slot.place() as u32 }
}

/// The tree.
pub struct Slots {
    /// The first leaf's slots, and how many of them there are: most tables have no more. Of a table without any nothing
    /// is looked at.
    first: NonNull<Slot>,
    first_count: u32,
    root: Option<Place>,
    /// How many levels of nodes stand above the leaves.
    height: u32,
    leaves: usize,
    count: usize,
}

impl Default for Slots {
    fn default() -> Self {
        Self::new()
    }
}

/// How many leaves a node holds that has so many levels beneath it.
const fn span(levels: u32) -> usize {
    FAN.pow(levels)
}

impl Slots {
    /// None.
    pub const fn new() -> Self {
        Self {
            first: NonNull::dangling(),
            first_count: 0,
            root: None,
            height: 0,
            leaves: 0,
            count: 0,
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The slot with that index.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&Slot> {
        if index < self.first_count {
            // SAFETY: so many of the first leaf's are written, and it is there until `remove_leaf` takes the count back.
            return Some(unsafe { self.first.add(index as usize).as_ref() });
        }
        self.find(index)
    }

    #[cold]
    #[inline(never)]
    fn find(&self, index: u32) -> Option<&Slot> {
        if index as usize >= self.count {
            return None;
        }
        let (leaf, offset) = (index as usize / LEAF_SLOTS, index as usize % LEAF_SLOTS);
        let (mut place, mut levels, mut leaf) = (self.root.as_ref()?, self.height, leaf);
        loop {
            match place {
                Place::Leaf(found) => {
                    let slot = found.slots.get(offset)?;
                    // SAFETY: the index is below the count, so it is written.
                    return Some(unsafe { slot.assume_init_ref() });
                }
                Place::Branch(below) => {
                    levels -= 1;
                    place = below.get(leaf / span(levels))?.as_ref()?;
                    leaf %= span(levels);
                }
            }
        }
    }

    /// The slots of the last leaf.
    pub fn last(&self) -> Option<&[Slot]> {
        self.leaf(self.leaves.checked_sub(1)?)
    }

    /// The slots of one leaf, the first is 0; `None` behind the last.
    pub fn leaf(&self, leaf: usize) -> Option<&[Slot]> {
        let before = leaf.checked_mul(LEAF_SLOTS)?;
        let written = self.count.checked_sub(before)?.min(LEAF_SLOTS);
        if leaf >= self.leaves {
            return None;
        }
        let mut rest = leaf;
        let (mut place, mut levels) = (self.root.as_ref()?, self.height);
        loop {
            match place {
                Place::Leaf(leaf) => {
                    // SAFETY: so many are written.
                    return Some(unsafe { leaf.slots[..written].assume_init_ref() });
                }
                Place::Branch(below) => {
                    levels -= 1;
                    place = below.get(rest / span(levels))?.as_ref()?;
                    rest %= span(levels);
                }
            }
        }
    }

    /// Adds a free slot, the last one, for the table with the header `table`. Where a leaf is needed for it, `quota`
    /// pays. Gives its index.
    ///
    /// # Errors
    /// [`Error::TableFull`] at [`MAX_SLOTS`]; [`Error::QuotaExceeded`]. What was made on the way to a
    /// leaf that could not be paid stays, for the next attempt.
    #[cold]
    pub fn add(&mut self, table: NonNull<Header>, quota: &Ref<Quota>) -> Result<u32, Error> {
        let (index, place) = (self.count, self.count % LEAF_SLOTS);
        if place == 0 {
            self.add_leaf(table, quota)?;
        }
        let slots = match index < LEAF_SLOTS {
            true => Some(self.first),
            false => self.last_leaf().map(|leaf| NonNull::from(&mut leaf.slots).cast()),
        };
        // SAFETY: the last leaf has a place for it, of which nobody knows yet.
        unsafe { slots.ok_or(Error::TableFull)?.add(place).write(Slot::new(place as u8, None)) };
        self.count += 1;
        self.first_count = self.count.min(LEAF_SLOTS) as u32;
        Ok(index as u32)
    }

    /// The last leaf.
    fn last_leaf(&mut self) -> Option<&mut Leaf> {
        let mut last = self.leaves.checked_sub(1)?;
        let (mut place, mut levels) = (self.root.as_mut()?, self.height);
        loop {
            match place {
                Place::Leaf(leaf) => return Some(leaf),
                Place::Branch(below) => {
                    levels -= 1;
                    place = below.get_mut(last / span(levels))?.as_mut()?;
                    last %= span(levels);
                }
            }
        }
    }

    /// Adds a leaf behind those that are full.
    fn add_leaf(&mut self, table: NonNull<Header>, quota: &Ref<Quota>) -> Result<(), Error> {
        let first = self.count;
        if first >= MAX_SLOTS {
            return Err(Error::TableFull);
        }
        let slots = [const { MaybeUninit::uninit() }; LEAF_SLOTS];
        let leaf = Paid::new_with(quota, || Leaf { table, first: first as u32, slots })?;
        if first == 0 {
            self.first = NonNull::from(&leaf.slots).cast();
        }
        let leaf = Place::Leaf(leaf);
        if self.leaves == span(self.height) && self.root.is_some() {
            let mut branch = Paid::new([const { None }; FAN], quota)?;
            branch[0] = self.root.take();
            self.root = Some(Place::Branch(branch));
            self.height += 1;
        }
        let (mut place, mut levels, mut rest) = (&mut self.root, self.height, self.leaves);
        while levels > 0 {
            if place.is_none() {
                *place = Some(Place::Branch(Paid::new([const { None }; FAN], quota)?));
            }
            let Some(Place::Branch(below)) = place else { return Err(Error::TableFull) };
            levels -= 1;
            place = below.get_mut(rest / span(levels)).ok_or(Error::TableFull)?;
            rest %= span(levels);
        }
        *place = Some(leaf);
        self.leaves += 1;
        Ok(())
    }

    /// Removes the last leaf, and the nodes above that held nothing else.
    pub fn remove_leaf(&mut self) {
        let Some(last) = self.leaves.checked_sub(1) else { return };
        self.leaves = last;
        self.count = last * LEAF_SLOTS;
        if last == 0 {
            self.first_count = 0;
        }
        let (mut place, mut levels, mut rest) = (&mut self.root, self.height, last);
        // The highest node whose first leaf this is goes, with all that is below.
        while rest != 0 {
            let Some(Place::Branch(below)) = place else { return };
            levels -= 1;
            let Some(next) = below.get_mut(rest / span(levels)) else { return };
            place = next;
            rest %= span(levels);
        }
        *place = None;
        if last == 0 {
            self.height = 0;
        }
    }
}
