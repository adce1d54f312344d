//! Physical memory and the kernel heap.

pub mod buddy;
pub mod frame;
pub mod heap;
#[cfg(test)]
mod tests;

use spin::Mutex;

use buddy::FrameAllocator;
use frame::Frame;

/// All free frames. Innermost of the kernel's locks: nothing is locked while it is held.
static FRAMES: Mutex<Option<FrameAllocator<'static>>> = Mutex::new(None);

/// Starts the frame allocator over `regions`, with `books` (zeroed, [`frame::metadata_bytes`] long)
/// to keep its books in.
pub fn start(books: &'static mut [u8], regions: impl Iterator<Item = core::ops::Range<u64>>) {
    *FRAMES.lock() = Some(FrameAllocator::new(books, regions));
}

/// Takes a frame. Its content is whatever was there: who shows it to a program zeroes it first.
pub fn allocate_frame() -> Option<Frame> {
    FRAMES.lock().as_mut()?.allocate(0)
}

/// Gives back what [`allocate_frame`] gave.
pub fn free_frame(frame: Frame) {
    if let Some(frames) = FRAMES.lock().as_mut() {
        frames.free(frame, 0);
    }
}

/// How many frames are free.
pub fn free_frames() -> u64 {
    FRAMES.lock().as_ref().map_or(0, FrameAllocator::free_frames)
}

/// How many frames the allocator was given.
pub fn total_frames() -> u64 {
    FRAMES.lock().as_ref().map_or(0, FrameAllocator::total_frames)
}
