//! The machine's physical memory: who takes a frame or gives it back comes here.
#![forbid(unsafe_code)]

use core::ops::Range;

use spin::{Mutex, Once};

use super::{books::Books, buddy::FrameAllocator, frame::Frame};

/// All frames, with the books that their owners use without the lock.
pub(super) struct Pool<'a> {
    pub(super) books: Books<'a>,
    /// Innermost of the kernel's locks: nothing is locked while it is held.
    buddy: Mutex<FrameAllocator<'a>>,
}

static POOL: Once<Pool<'static>> = Once::new();

/// The machine's, once there is one.
pub(super) fn pool() -> Option<&'static Pool<'static>> {
    POOL.get()
}

impl<'a> Pool<'a> {
    pub(super) fn new(books: Books<'a>, regions: impl Iterator<Item = Range<u64>>) -> Self {
        Self { books, buddy: Mutex::new(FrameAllocator::new(books, regions)) }
    }
}

/// Starts the frame allocator over `regions` (ranges of physical addresses, whole frames, no
/// overlaps), with fresh `books`. Once, at boot.
pub fn start(books: Books<'static>, regions: impl Iterator<Item = Range<u64>>) {
    POOL.call_once(|| Pool::new(books, regions));
}

/// Takes a frame. Its content is whatever was there: who shows it to a program zeroes it first.
pub fn allocate_frame() -> Option<Frame> {
    allocate_block(0)
}

/// Gives back what [`allocate_frame`] gave, or a part of a block that was split.
pub fn free_frame(frame: Frame) {
    free_block(frame, 0);
}

/// Takes a block of 2^`order` frames, aligned to its size. Content as for [`allocate_frame`].
pub fn allocate_block(order: usize) -> Option<Frame> {
    pool()?.buddy.lock().allocate(order)
}

/// Gives back what [`allocate_block`] gave with the same `order`.
///
/// # Panics
/// In debug builds, when it is free already, was allocated with another order or split, or has
/// other owners.
pub fn free_block(frame: Frame, order: usize) {
    if let Some(pool) = pool() {
        pool.buddy.lock().free(frame, order);
    }
}

/// Makes a block of the caller's, of 2^`order` frames, as many frames, each of which is freed or
/// shared by itself. Writes as many records.
///
/// # Panics
/// In debug builds, when it is no such block.
pub fn split_block(frame: Frame, order: usize) {
    if let Some(pool) = pool() {
        pool.books.split(frame, order);
    }
}

/// Counts one more owner of `frame`, which has one when it is allocated. The caller is an owner.
///
/// # Panics
/// In debug builds, when it is free or within a block.
pub fn share(frame: Frame) {
    if let Some(pool) = pool() {
        pool.books.share(frame);
    }
}

/// The caller is no owner any longer. True when it was the last: then the frame is its own, with one
/// owner as if fresh, to free it or to keep it.
///
/// # Panics
/// In debug builds, when it is free or within a block.
pub fn unshare(frame: Frame) -> bool {
    pool().is_some_and(|pool| pool.books.unshare(frame))
}

/// How many owners `frame` has: 0 when it is not allocated by itself. An owner who reads 1 is alone
/// from then on, until it shares the frame.
pub fn owners(frame: Frame) -> u32 {
    pool().map_or(0, |pool| pool.books.owners(frame))
}

/// How many frames are free.
pub fn free_frames() -> u64 {
    pool().map_or(0, |pool| pool.buddy.lock().free_frames())
}

/// How many frames the allocator was given.
pub fn total_frames() -> u64 {
    pool().map_or(0, |pool| pool.buddy.lock().total_frames())
}
