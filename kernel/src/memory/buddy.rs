//! The frame allocator: a buddy system (Knuth, The Art of Computer Programming 1, 2.5). Free memory
//! is kept in blocks of 2^order frames, aligned to their size; freeing joins a block with its buddy
//! as long as that is free too.
//!
//! The books stand outside the frames: one record for each frame, which says what begins there and
//! links free blocks of one size. Nothing is ever written to a free frame.
#![forbid(unsafe_code)]

use core::ops::Range;

use super::frame::Frame;

/// Orders from 0 (one frame) to this (1 GiB).
pub const MAX_ORDER: usize = 18;
/// Size of a frame's record: next and previous block of the free list, and the state.
pub const BOOK_BYTES: usize = 9;

/// No block: the end of a list.
const NONE: u32 = u32::MAX;

// States of a frame's record.
/// Not this allocator's, or inside a block.
const INSIDE: u8 = 0;
/// The first frame of a free block of order `state - FREE`.
const FREE: u8 = 0x40;
/// The first frame of an allocated block of order `state - USED`.
const USED: u8 = 0x80;

/// The allocator.
pub struct FrameAllocator<'a> {
    books: &'a mut [u8],
    first_free: [u32; MAX_ORDER + 1],
    free: u64,
    total: u64,
}

impl<'a> FrameAllocator<'a> {
    /// An allocator of the frames in `regions` (ranges of physical addresses, whole frames, no
    /// overlaps). `books` are zeroed and as long as [`super::frame::metadata_bytes`] says for the
    /// highest of them; frames above are left out.
    pub fn new(books: &'a mut [u8], regions: impl Iterator<Item = Range<u64>>) -> Self {
        let mut new = Self { books, first_free: [NONE; MAX_ORDER + 1], free: 0, total: 0 };
        for region in regions {
            new.add(
                Frame::containing(region.start).number(),
                Frame::containing(region.end).number(),
            );
        }
        new
    }

    /// Adds the frames of `[start, end)` in the largest blocks that are aligned.
    fn add(&mut self, mut start: u64, end: u64) {
        let end = end.min((self.books.len() / BOOK_BYTES) as u64).min(NONE.into());
        while start < end {
            let alignment = (start.trailing_zeros() as usize).min(MAX_ORDER);
            let fitting = (end - start).ilog2() as usize;
            let order = alignment.min(fitting);
            self.put(start as u32, order);
            self.total += 1 << order;
            start += 1 << order;
        }
    }

    fn record(&mut self, frame: u32) -> &mut [u8] {
        let at = frame as usize * BOOK_BYTES;
        &mut self.books[at..at + BOOK_BYTES]
    }

    fn state(&self, frame: u32) -> u8 {
        self.books.get(frame as usize * BOOK_BYTES + 8).copied().unwrap_or(INSIDE)
    }

    fn set_state(&mut self, frame: u32, state: u8) {
        self.record(frame)[8] = state;
    }

    fn link(&mut self, frame: u32, offset: usize) -> u32 {
        let record = self.record(frame);
        record[offset..].first_chunk().map_or(NONE, |bytes| u32::from_le_bytes(*bytes))
    }

    fn set_link(&mut self, frame: u32, offset: usize, to: u32) {
        self.record(frame)[offset..offset + 4].copy_from_slice(&to.to_le_bytes());
    }

    /// Puts a block onto the list of its order.
    fn put(&mut self, frame: u32, order: usize) {
        let next = self.first_free[order];
        self.set_link(frame, 0, next);
        self.set_link(frame, 4, NONE);
        if next != NONE {
            self.set_link(next, 4, frame);
        }
        self.first_free[order] = frame;
        self.set_state(frame, FREE + order as u8);
        self.free += 1 << order;
    }

    /// Takes a free block off its list.
    fn take(&mut self, frame: u32, order: usize) {
        let (next, previous) = (self.link(frame, 0), self.link(frame, 4));
        match previous {
            NONE => self.first_free[order] = next,
            previous => self.set_link(previous, 0, next),
        }
        if next != NONE {
            self.set_link(next, 4, previous);
        }
        self.set_state(frame, INSIDE);
        self.free -= 1 << order;
    }

    /// Takes 2^`order` frames, aligned to their number; `None` when there are none.
    pub fn allocate(&mut self, order: usize) -> Option<Frame> {
        let mut found = (order..=MAX_ORDER).find(|order| self.first_free[*order] != NONE)?;
        let frame = self.first_free[found];
        self.take(frame, found);
        // Give back the upper half until what is left has the size.
        while found > order {
            found -= 1;
            self.put(frame + (1 << found), found);
        }
        self.set_state(frame, USED + order as u8);
        Some(Frame::new(frame.into()))
    }

    /// Gives back what [`FrameAllocator::allocate`] gave.
    ///
    /// # Panics
    /// In debug builds, when the block is free already, or was allocated with another order. In
    /// release builds such a block is left alone.
    pub fn free(&mut self, frame: Frame, order: usize) {
        // No books have a record for the largest number, so it stands for all that are too large.
        let mut frame = u32::try_from(frame.number()).unwrap_or(NONE);
        let state = self.state(frame);
        debug_assert_eq!(
            state,
            USED + order as u8,
            "frame {frame:#x} was freed twice or with another order"
        );
        if state != USED + order as u8 {
            return;
        }
        let mut order = order;
        self.set_state(frame, INSIDE);
        while order < MAX_ORDER {
            let buddy = frame ^ 1 << order;
            if self.state(buddy) != FREE + order as u8 {
                break;
            }
            self.take(buddy, order);
            frame &= !(1 << order);
            order += 1;
        }
        self.put(frame, order);
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> u64 {
        self.free
    }

    /// How many frames it was given.
    pub fn total_frames(&self) -> u64 {
        self.total
    }
}
