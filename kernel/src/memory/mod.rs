//! Physical memory and the kernel heap.

pub mod books;
pub mod buddy;
mod cache;
pub mod class;
mod extent;
pub mod frame;
pub mod heap;
mod list;
mod pool;
pub mod slab;
#[cfg(test)]
mod tests;
pub mod usage;

pub use list::FrameList;
pub use pool::{
    FrameCounts, add, allocate_block, allocate_frame, allocate_zeroed_frame, frame_counts,
    free_block, free_frame, free_frames, free_zeroed_frame, owners, share, split_block, start,
    total_frames, unshare,
};
