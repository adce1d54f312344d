//! A list of frames on their way: unmapped, but not yet free. It is linked through the books, so it
//! takes no memory, and the frames keep what is in them: a CPU may still walk one as a page table.
#![forbid(unsafe_code)]

use super::{
    books::{LISTED, NONE, USED},
    frame::Frame,
    pool::{free_frame, pool},
};

/// Frames that were allocated one by one or split off blocks, and belong to whoever has the list.
/// Last in, first out. What is left when it is dropped is freed.
#[derive(Debug)]
pub struct FrameList {
    first: u32,
    /// The frame that was added first, while there are any.
    last: u32,
    frames: usize,
}

impl FrameList {
    /// An empty list.
    pub const fn new() -> Self {
        Self { first: NONE, last: NONE, frames: 0 }
    }

    /// Adds a frame of the caller's.
    ///
    /// # Panics
    /// In debug builds, when the frame is free, within a block, or in a list. In release builds it
    /// is not added.
    pub fn push(&mut self, frame: Frame) {
        let Some(pool) = pool() else { return };
        let number = pool.books.number(frame);
        let state = pool.books.state(number);
        debug_assert_eq!(state, USED, "{frame:?} can't be put into a list");
        if state == USED {
            pool.books.set_second(number, self.first);
            pool.books.set_state(number, LISTED);
            if self.first == NONE {
                self.last = number;
            }
            self.first = number;
            self.frames += 1;
        }
    }

    /// Takes the frame that was added last.
    pub fn pop(&mut self) -> Option<Frame> {
        let pool = pool().filter(|_| self.first != NONE)?;
        let number = self.first;
        self.first = pool.books.second(number);
        self.frames -= 1;
        pool.books.set_state(number, USED);
        Some(Frame::new(number.into()))
    }

    /// Takes all of `other`'s frames, as if they had been added in the same order, in a few instructions.
    pub fn append(&mut self, other: &mut Self) {
        let Some(pool) = pool().filter(|_| other.first != NONE) else { return };
        pool.books.set_second(other.last, self.first);
        if self.first == NONE {
            self.last = other.last;
        }
        self.first = other.first;
        self.frames += other.frames;
        (other.first, other.frames) = (NONE, 0);
    }

    /// How many frames there are.
    pub const fn len(&self) -> usize {
        self.frames
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }
}

impl Default for FrameList {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for FrameList {
    fn drop(&mut self) {
        while let Some(frame) = self.pop() {
            free_frame(frame);
        }
    }
}
