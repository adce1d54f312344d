//! The frame allocator: a buddy system (Knuth, The Art of Computer Programming 1, 2.5). Free memory
//! is kept in blocks of 2^order frames, aligned to their size; freeing joins a block with its buddy
//! as long as that is free too. Free blocks of one order are a list through the books.
#![forbid(unsafe_code)]

use core::ops::Range;

use super::{
    books::{Books, FREE, INSIDE, MAX_ORDER, NONE, USED},
    frame::Frame,
};

/// The allocator.
pub struct FrameAllocator<'a> {
    books: Books<'a>,
    first_free: [u32; MAX_ORDER + 1],
    free: u64,
    total: u64,
}

impl<'a> FrameAllocator<'a> {
    /// An allocator of the frames in `regions` (ranges of physical addresses, whole frames, no
    /// overlaps). Frames without a record in `books`, which are fresh, are left out.
    pub fn new(books: Books<'a>, regions: impl Iterator<Item = Range<u64>>) -> Self {
        let mut new = Self { books, first_free: [NONE; MAX_ORDER + 1], free: 0, total: 0 };
        for region in regions {
            new.add(region);
        }
        new
    }

    /// Adds the frames of a range of physical addresses that it has none of, in the largest blocks that are aligned.
    pub(super) fn add(&mut self, region: Range<u64>) {
        let mut start = Frame::containing(region.start).number();
        let end = Frame::containing(region.end).number().min(self.books.frames());
        while start < end {
            let alignment = (start.trailing_zeros() as usize).min(MAX_ORDER);
            let fitting = (end - start).ilog2() as usize;
            let order = alignment.min(fitting);
            self.put(start as u32, order);
            self.total += 1 << order;
            start += 1 << order;
        }
    }

    /// Puts a block onto the list of its order.
    fn put(&mut self, frame: u32, order: usize) {
        let next = self.first_free[order];
        self.books.set_first(frame, next);
        self.books.set_second(frame, NONE);
        if next != NONE {
            self.books.set_second(next, frame);
        }
        self.first_free[order] = frame;
        self.books.set_state(frame, FREE + order as u8);
        self.free += 1 << order;
    }

    /// Takes a free block off its list.
    fn take(&mut self, frame: u32, order: usize) {
        let (next, previous) = (self.books.first(frame), self.books.second(frame));
        match previous {
            NONE => self.first_free[order] = next,
            previous => self.books.set_first(previous, next),
        }
        if next != NONE {
            self.books.set_second(next, previous);
        }
        self.books.set_state(frame, INSIDE);
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
        self.books.set_first(frame, 0);
        self.books.set_state(frame, USED + order as u8);
        Some(Frame::new(frame.into()))
    }

    /// Gives back what [`FrameAllocator::allocate`] gave.
    ///
    /// # Panics
    /// In debug builds, when the block is free already, was allocated with another order, or has
    /// other owners. In release builds such a block is left alone.
    pub fn free(&mut self, frame: Frame, mut order: usize) {
        let mut frame = self.books.number(frame);
        let is_block = self.books.is_block(frame, order);
        debug_assert!(is_block, "frame {frame:#x} was freed twice or with another order");
        if !is_block {
            return;
        }
        let others = self.books.first(frame);
        debug_assert_eq!(others, 0, "frame {frame:#x} was freed and has other owners");
        if others != 0 {
            return;
        }
        self.books.set_state(frame, INSIDE);
        while order < MAX_ORDER {
            let buddy = frame ^ 1 << order;
            if self.books.state(buddy) != FREE + order as u8 {
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

    /// The order of the largest free block.
    pub fn largest_order(&self) -> Option<usize> {
        self.first_free.iter().rposition(|first| *first != NONE)
    }
}
