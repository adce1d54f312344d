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
//! new root.
//!
//! A slot stays where it is as long as its table has it, so its place in the [derivation](super::derivation)
//! tree stands in it, and leads to it: from the node to the leaf, and to the table whose leaf that is.

use core::{cell::UnsafeCell, mem::offset_of, ptr::NonNull};

use orbital_abi::Error;

use super::{EntryGuard, derivation::Node};
use crate::object::{Header, Paid, Quota, Ref};

/// Slots of a leaf.
pub const LEAF_SLOTS: usize = 31;
/// Nodes beneath a node.
const FAN: usize = 126;
/// Leaves of a full table.
const MAX_LEAVES: usize = 1 << 15;
/// The most slots that a table can have: more than a million.
pub const MAX_SLOTS: usize = LEAF_SLOTS * MAX_LEAVES;

/// A place for a capability.
#[repr(C)]
pub struct Slot {
    /// Its place in the derivation tree. It has room for the slot's generation, which is 1 for the first
    /// capability that the slot holds, and never 0.
    pub(super) node: Node,
    content: UnsafeCell<Content>,
}

/// What a slot holds.
pub enum Content {
    /// No capability.
    Empty(Empty),
    /// A capability.
    Held(EntryGuard),
}

/// Why a slot is empty. Apart from [`Content`], so that a slot takes no more than 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// It can be used, and then the next one.
    Free {
        /// Its index.
        next: Option<u32>,
    },
    /// The generation has run out: a handle of the past could come alive again.
    Retired,
}

/// Slots with following indices.
#[repr(C)]
pub struct Leaf {
    /// The table that has it.
    table: NonNull<Header>,
    /// The first one's index.
    first: u32,
    slots: [Slot; LEAF_SLOTS],
}

// SAFETY: content is touched under the table's lock alone; nodes look after themselves. The table outlives it.
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
const _: () = assert!(size_of::<Slot>() == 64 && LEAF_SLOTS < u8::MAX as usize);

impl Slot {
    /// What is in it.
    #[inline]
    pub fn content(&self) -> &Content {
        // SAFETY: a slot is only to be had by who has its table's lock; who changes it sees to the rest.
        unsafe { &*self.content.get() }
    }

    /// Puts `content` into it; what was there.
    ///
    /// # Safety
    /// Nobody refers to what is there: the table is borrowed for writing, and nothing of its content.
    #[inline]
    pub(super) unsafe fn replace(&self, content: Content) -> Content {
        // SAFETY: the caller's.
        core::mem::replace(unsafe { &mut *self.content.get() }, content)
    }
}

/// The slot in which `node` stands.
///
/// # Safety
/// It is there as long as the result, and its table is locked.
#[inline]
pub(super) unsafe fn slot_of<'a>(node: NonNull<Node>) -> &'a Slot {
    // SAFETY: the caller's; a node is the first in its slot.
    unsafe { node.cast().as_ref() }
}

#[inline]
fn leaf_of(node: NonNull<Node>) -> NonNull<Leaf> {
    // SAFETY: the node starts a slot, whose place in its leaf it knows.
    unsafe {
        let first = node.cast::<Slot>().sub(usize::from((*node.as_ptr()).place));
        first.byte_sub(offset_of!(Leaf, slots)).cast()
    }
}

/// The table that has the slot in which `node` stands.
///
/// # Safety
/// The slot is there.
#[inline]
pub(super) unsafe fn table_of(node: NonNull<Node>) -> NonNull<Header> {
    // SAFETY: the caller's; this does not change as long as the leaf is there.
    unsafe { (*leaf_of(node).as_ptr()).table }
}

/// The index of the slot in which `node` stands.
///
/// # Safety
/// The slot is there.
#[inline]
pub(super) unsafe fn index_of(node: NonNull<Node>) -> u32 {
    // SAFETY: the caller's; neither changes as long as the leaf is there.
    unsafe { (*leaf_of(node).as_ptr()).first + u32::from((*node.as_ptr()).place) }
}

/// The tree.
pub struct Slots {
    root: Option<Place>,
    /// How many levels of nodes stand above the leaves.
    height: u32,
    leaves: usize,
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
        Self { root: None, height: 0, leaves: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.leaves * LEAF_SLOTS
    }

    /// The slot with that index.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&Slot> {
        // Most tables are one leaf.
        if let Some(Place::Leaf(leaf)) = &self.root {
            return leaf.slots.get(index as usize);
        }
        self.find(index)
    }

    fn find(&self, index: u32) -> Option<&Slot> {
        let (leaf, offset) = (index as usize / LEAF_SLOTS, index as usize % LEAF_SLOTS);
        if leaf >= self.leaves {
            return None;
        }
        let (mut place, mut levels, mut leaf) = (self.root.as_ref()?, self.height, leaf);
        loop {
            match place {
                Place::Leaf(found) => return found.slots.get(offset),
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
        let mut last = self.leaves.checked_sub(1)?;
        let (mut place, mut levels) = (self.root.as_ref()?, self.height);
        loop {
            match place {
                Place::Leaf(leaf) => return Some(&leaf.slots),
                Place::Branch(below) => {
                    levels -= 1;
                    place = below.get(last / span(levels))?.as_ref()?;
                    last %= span(levels);
                }
            }
        }
    }

    /// Adds a leaf of free slots, each of which leads to the next, paid by `quota`, for the table with the
    /// header `table`. Gives the first one's index.
    ///
    /// # Errors
    /// [`Error::TableFull`] at [`MAX_SLOTS`]; [`Error::QuotaExceeded`]. What was made on the way to a
    /// leaf that could not be paid stays, for the next attempt.
    pub fn add_leaf(&mut self, table: NonNull<Header>, quota: &Ref<Quota>) -> Result<u32, Error> {
        let first = self.count();
        if first >= MAX_SLOTS {
            return Err(Error::TableFull);
        }
        let leaf = Place::Leaf(Paid::new(free_slots(table, first as u32), quota)?);
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
        Ok(first as u32)
    }

    /// Removes the last leaf, and the nodes above that held nothing else.
    pub fn remove_leaf(&mut self) {
        let Some(last) = self.leaves.checked_sub(1) else { return };
        self.leaves = last;
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

fn free_slots(table: NonNull<Header>, first: u32) -> Leaf {
    let slots = core::array::from_fn(|offset| {
        let next = offset + 1;
        let next = (next < LEAF_SLOTS).then_some(first + next as u32);
        let content = UnsafeCell::new(Content::Empty(Empty::Free { next }));
        Slot { node: Node::new(offset as u8), content }
    });
    Leaf { table, first, slots }
}
