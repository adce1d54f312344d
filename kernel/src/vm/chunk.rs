//! A part of a larger object: 2 MiB of its pages, as leaf tables and large pages divide addresses.
//!
//! It has a frame full of entries from its first touch on. If there is a block of 2 MiB then, it is set aside
//! for it (Navarro, Iyer, Druschel, Cox: "Practical, transparent operating system support for superpages",
//! OSDI 2002): each page goes to its place in the block, and once all are there a large page can map them.
//!
//! ```text
//!          1             2
//!   whole ───► in parts ───► some parts in frames
//! ```
//! A frame that is to be shared has to be one by itself. 1. With the first of them the block becomes parts of a few
//! frames; 2. with the first of each part that becomes single frames. So no step has to do with all of it.
#![forbid(unsafe_code)]

use super::node::{ENTRIES, Entry, Node};
use crate::{
    arch::PageSize,
    memory::{self, frame::Frame},
};

/// Pages of a chunk: those of a large page.
pub const CHUNK: u64 = ENTRIES as u64;
/// The order of a block for a whole chunk.
const ORDER: usize = 9;
/// The order of its parts: 64, of 8 frames.
const PART_ORDER: usize = 3;
/// Pages of a part.
const PART: usize = 1 << PART_ORDER;

const _: () = assert!(CHUNK * PageSize::Small.bytes() == PageSize::Large.bytes());
const _: () = assert!(CHUNK == 1 << ORDER);
const _: () = assert!(ENTRIES / PART == u64::BITS as usize);

/// Its entries, touched or not.
#[derive(Default)]
pub struct Chunk {
    /// There once a page was touched.
    node: Option<Node>,
    /// The block that was set aside for it, of which its pages have their places. Those of pages that were
    /// not touched are its own too.
    block: Option<Frame>,
    /// The block's parts that are single frames, a bit each; the block is whole as long as there are none.
    in_frames: u64,
    /// How many pages were touched.
    touched: u64,
}

impl Chunk {
    /// What stands for page `index`.
    pub fn entry(&self, index: u64) -> Entry {
        self.node.as_ref().map_or(Entry::ABSENT, |node| node.get(index as usize))
    }

    /// Changes what stands for page `index`; `None` before the first touch.
    pub fn set(&mut self, index: u64, entry: Entry) -> Option<()> {
        self.node.as_mut()?.set(index as usize, entry);
        Some(())
    }

    /// Whether no page was touched.
    pub fn is_untouched(&self) -> bool {
        self.node.is_none()
    }

    /// A frame for page `index`, which was not touched, of a chunk that has so many.
    pub fn touch(&mut self, index: u64, pages: u64) -> Option<Frame> {
        if self.node.is_none() {
            self.node = Some(Node::new()?);
            if pages == CHUNK {
                self.block = memory::allocate_block(ORDER);
            }
        }
        let set_aside = self.block.map(|block| Frame::new(block.number() + index));
        let frame = set_aside.or_else(memory::allocate_frame)?;
        self.touched += 1;
        self.set(index, Entry::present(frame))?;
        Some(frame)
    }

    /// A page that was not touched gets a frame that is not of this chunk. False without memory.
    pub fn expect(&mut self) -> bool {
        if self.node.is_none() {
            self.node = Node::new();
        }
        self.touched += 1;
        self.node.is_some()
    }

    /// The block, where a large page can map it: all pages were touched, and each is in its place.
    pub fn large(&self) -> Option<Frame> {
        self.block.filter(|_| self.touched == CHUNK && self.in_frames == 0)
    }

    /// Page `index` is to be shared: its frame becomes one by itself.
    pub fn loosen(&mut self, index: u64) {
        let Some(block) = self.block else { return };
        let part = index / PART as u64;
        if self.in_frames == 0 {
            memory::split_block(block, ORDER, PART_ORDER);
        }
        if self.in_frames & 1 << part == 0 {
            let first = Frame::new(block.number() + part * PART as u64);
            memory::split_block(first, PART_ORDER, 0);
            self.in_frames |= 1 << part;
        }
    }

    /// Frees what it has from page `from` on, at most `budget` frames or blocks; whether all is gone.
    pub fn free(&mut self, from: &mut usize, budget: &mut usize) -> bool {
        if let Some(block) = self.block.filter(|_| self.in_frames == 0) {
            memory::free_block(block, ORDER);
            (self.block, self.node) = (None, None);
        }
        let Some(node) = &mut self.node else { return true };
        while *from < ENTRIES && *budget > 0 {
            *budget -= 1;
            let place = self.block.map(|block| Frame::new(block.number() + *from as u64));
            if let Some(place) = place
                && self.in_frames & 1 << (*from / PART) == 0
            {
                memory::free_block(place, PART_ORDER);
                *from += PART;
                continue;
            }
            let entry = node.get(*from);
            node.set(*from, Entry::ABSENT);
            match place.filter(|_| entry == Entry::ABSENT) {
                Some(place) => memory::free_frame(place),
                None => entry.free(),
            }
            *from += 1;
        }
        if *from < ENTRIES {
            return false;
        }
        *from = 0;
        (self.block, self.node) = (None, None);
        true
    }
}
