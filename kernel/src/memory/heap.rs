//! The kernel heap, on `linked_list_allocator`. It grows by frames and answers "no" when there are
//! none: nothing in the kernel that a program can cause allocates in a way that could panic. Boxes
//! are made by [`try_box`], vectors grow by `try_reserve`.

use alloc::boxed::Box;
use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::NonNull,
};

use linked_list_allocator::Heap;
use spin::Mutex;

/// How large the heap can get, in bytes: quotas promise no more.
pub const LIMIT: u64 = 1 << 30;

/// There is no memory left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// Maps at least so many more bytes at the heap's end; gives how many.
pub type Grow = fn(usize) -> Option<usize>;

struct KernelHeap(Mutex<(Heap, Option<Grow>)>);

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: KernelHeap = KernelHeap(Mutex::new((Heap::empty(), None)));

/// What `linked_list_allocator` needs to keep track of a hole, and alignment: added to a request
/// before the heap grows for it.
const SLACK: usize = 64;

/// Starts the heap.
///
/// # Safety
/// `[start, start + size)` is mapped and belongs to the heap alone, and so is what `grow` adds.
pub unsafe fn init(start: usize, size: usize, grow: Grow) {
    let mut heap = HEAP.0.lock();
    // SAFETY: the caller's.
    unsafe { heap.0.init(start as *mut u8, size) };
    heap.1 = Some(grow);
}

/// Bytes in use.
pub fn bytes_used() -> usize {
    HEAP.0.lock().0.used()
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

// SAFETY: `linked_list_allocator` gives each block once until it is given back.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.0.lock();
        let (memory, grow) = &mut *heap;
        let found = memory.allocate_first_fit(layout).or_else(|()| {
            let wanted = layout.size().checked_add(layout.align() + SLACK).ok_or(())?;
            let added = grow.and_then(|grow| grow(wanted)).ok_or(())?;
            // SAFETY: `grow` mapped so many bytes behind the heap's end.
            unsafe { memory.extend(added) };
            memory.allocate_first_fit(layout)
        });
        found.map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if let Some(memory) = NonNull::new(memory) {
            // SAFETY: the caller gives back what `alloc` gave, with the same layout.
            unsafe { self.0.lock().0.deallocate(memory, layout) };
        }
    }
}
