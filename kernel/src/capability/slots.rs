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
#![forbid(unsafe_code)]

use orbital_abi::Error;

use super::EntryGuard;
use crate::object::{Paid, Quota, Ref};

/// Slots of a leaf.
pub const LEAF_SLOTS: usize = 63;
/// Nodes beneath a node.
const FAN: usize = 126;
/// The tree's greatest height.
const MAX_HEIGHT: u32 = 2;
/// The most slots that a table can have: more than a million.
pub const MAX_SLOTS: usize = LEAF_SLOTS * FAN.pow(MAX_HEIGHT);

/// A place for a capability.
pub struct Slot {
    /// 1 for the first capability that the slot holds; a generation is never 0.
    pub generation: u32,
    /// What is there.
    pub content: Content,
}

/// What a slot holds.
pub enum Content {
    /// No capability.
    Empty(Empty),
    /// A capability.
    Held(EntryGuard),
}

/// Why a slot is empty. Apart from [`Content`], so that a slot takes no more than 32 bytes.
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
pub type Leaf = [Slot; LEAF_SLOTS];
type Branch = [Option<Node>; FAN];

enum Node {
    Leaf(Paid<Leaf>),
    Branch(Paid<Branch>),
}

// Two share a slab.
const _: () = assert!(size_of::<Leaf>() <= 2016 && size_of::<Branch>() <= 2016);

/// The tree.
pub struct Slots {
    root: Option<Node>,
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
        if let Some(Node::Leaf(slots)) = &self.root {
            return slots.get(index as usize);
        }
        self.find(index)
    }

    fn find(&self, index: u32) -> Option<&Slot> {
        let (leaf, offset) = (index as usize / LEAF_SLOTS, index as usize % LEAF_SLOTS);
        if leaf >= self.leaves {
            return None;
        }
        let (mut node, mut levels, mut leaf) = (self.root.as_ref()?, self.height, leaf);
        loop {
            match node {
                Node::Leaf(slots) => return slots.get(offset),
                Node::Branch(below) => {
                    levels -= 1;
                    node = below.get(leaf / span(levels))?.as_ref()?;
                    leaf %= span(levels);
                }
            }
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        let (leaf, offset) = (index as usize / LEAF_SLOTS, index as usize % LEAF_SLOTS);
        self.leaf_mut(leaf)?.get_mut(offset)
    }

    fn leaf_mut(&mut self, mut leaf: usize) -> Option<&mut Leaf> {
        if leaf >= self.leaves {
            return None;
        }
        let (mut node, mut levels) = (self.root.as_mut()?, self.height);
        loop {
            match node {
                Node::Leaf(slots) => return Some(slots),
                Node::Branch(below) => {
                    levels -= 1;
                    node = below.get_mut(leaf / span(levels))?.as_mut()?;
                    leaf %= span(levels);
                }
            }
        }
    }

    /// The slots of the last leaf, and the first one's index.
    pub fn last(&mut self) -> Option<(u32, &Leaf)> {
        let leaf = self.leaves.checked_sub(1)?;
        Some(((leaf * LEAF_SLOTS) as u32, self.leaf_mut(leaf)?))
    }

    /// Adds a leaf of free slots, each of which leads to the next, paid by `quota`. Gives the first one's
    /// index.
    ///
    /// # Errors
    /// [`Error::TableFull`] at [`MAX_SLOTS`]; [`Error::QuotaExceeded`]. What was made on the way to a
    /// leaf that could not be paid stays, for the next attempt.
    pub fn add_leaf(&mut self, quota: &Ref<Quota>) -> Result<u32, Error> {
        let first = self.count();
        if first >= MAX_SLOTS {
            return Err(Error::TableFull);
        }
        let leaf = Node::Leaf(Paid::new(free_slots(first as u32), quota)?);
        if self.leaves == span(self.height) && self.root.is_some() {
            let mut branch = Paid::new([const { None }; FAN], quota)?;
            branch[0] = self.root.take();
            self.root = Some(Node::Branch(branch));
            self.height += 1;
        }
        let (mut place, mut levels, mut rest) = (&mut self.root, self.height, self.leaves);
        while levels > 0 {
            if place.is_none() {
                *place = Some(Node::Branch(Paid::new([const { None }; FAN], quota)?));
            }
            let Some(Node::Branch(below)) = place else { return Err(Error::TableFull) };
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
            let Some(Node::Branch(below)) = place else { return };
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

fn free_slots(first: u32) -> Leaf {
    core::array::from_fn(|offset| {
        let next = offset + 1;
        let next = (next < LEAF_SLOTS).then_some(first + next as u32);
        Slot { generation: 1, content: Content::Empty(Empty::Free { next }) }
    })
}
