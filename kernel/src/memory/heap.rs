//! The kernel heap, for what is odd-sized or the kernel's own: objects that programs make come from
//! [slabs](super::slab). It grows by frames, gives them back, and answers "no" when there are none:
//! nothing in the kernel that a program can cause allocates in a way that could panic. Boxes are made by
//! [`try_box`], vectors grow by `try_reserve`.

use alloc::boxed::Box;
use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::{NonNull, null_mut},
};

use spin::Mutex;

use super::{extent::Extents, usage};

/// There is no memory left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A heap.
pub struct KernelHeap(Mutex<Extents>);

/// The kernel's. On the host boxes and vectors are the host's.
#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: KernelHeap = KernelHeap::new();

impl KernelHeap {
    /// An empty one, which takes no memory.
    pub const fn new() -> Self {
        Self(Mutex::new(Extents::new()))
    }
}

impl Default for KernelHeap {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts `value` on the heap.
///
/// # Errors
/// [`OutOfMemory`], and `value` is dropped.
pub fn try_box<T>(value: T) -> Result<Box<T>, OutOfMemory> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return Ok(Box::new(value));
    }
    // SAFETY: the layout has a size.
    let memory = unsafe { alloc::alloc::alloc(layout) }.cast::<T>();
    if memory.is_null() {
        return Err(OutOfMemory);
    }
    // SAFETY: fresh memory of the type's layout, which a `Box` frees the same way.
    unsafe {
        memory.write(value);
        Ok(Box::from_raw(memory))
    }
}

// SAFETY: extents give each piece of memory once until it is given back.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let memory = self.0.lock().allocate(layout);
        memory.map_or(null_mut(), |memory| {
            usage::taken(layout.size());
            memory.as_ptr()
        })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if let Some(memory) = NonNull::new(memory) {
            usage::given_back(layout.size());
            // SAFETY: the caller gives back what `alloc` gave, with the same layout.
            unsafe { self.0.lock().free(memory, layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arch::host::machine, memory};

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn the_heap_grows_by_frames_and_gives_them_back() {
        let _machine = machine();
        let heap = KernelHeap::new();
        let free = memory::free_frames();
        for _ in 0..3 {
            let mut blocks = Vec::new();
            for (number, size) in [16, 100, 4096, 16 << 10, 17 << 10, 100 << 10, 1 << 20]
                .repeat(5)
                .into_iter()
                .enumerate()
            {
                let layout = layout(size, 1 << (number % 14));
                // SAFETY: the layout has a size.
                let memory = unsafe { heap.alloc(layout) };
                assert!(!memory.is_null() && memory.addr().is_multiple_of(layout.align()));
                // SAFETY: it is ours.
                unsafe { memory.write_bytes(number as u8, size) };
                blocks.push((memory, layout, number as u8));
            }
            assert!(memory::free_frames() < free - 5 * 256);
            // Every other one first.
            blocks.sort_by_key(|(.., number)| number % 2);
            for (memory, layout, number) in blocks {
                // SAFETY: it is ours until it is given back.
                let content = unsafe { core::slice::from_raw_parts(memory, layout.size()) };
                assert!(content.iter().all(|byte| *byte == number), "block {number}");
                // SAFETY: it came from there with this layout.
                unsafe { heap.dealloc(memory, layout) };
            }
            assert_eq!(memory::free_frames(), free);
        }
    }

    #[test]
    fn what_there_is_no_memory_for_is_refused() {
        let _machine = machine();
        let heap = KernelHeap::new();
        let free = memory::free_frames();
        for (size, align) in [(1 << 30, 8), (1 << 40, 4096), (isize::MAX as usize, 1), (1, 1 << 40)]
        {
            // SAFETY: the layout has a size.
            assert!(unsafe { heap.alloc(layout(size, align)) }.is_null(), "{size} at {align}");
        }
        let hog: Vec<_> = core::iter::from_fn(memory::allocate_frame).collect();
        // SAFETY: the layout has a size.
        assert!(unsafe { heap.alloc(layout(16, 8)) }.is_null(), "no frame for an extent");
        hog.into_iter().for_each(memory::free_frame);
        assert_eq!(memory::free_frames(), free);
    }
}
