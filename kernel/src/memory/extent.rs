//! The kernel heap's extents: blocks of frames, reached through the direct map, each with a
//! `linked_list_allocator` of its own, which can't shrink. So the heap grows by extents, and gives back
//! those that are empty: nothing is mapped or unmapped for it, and no CPU has to forget a translation.

use core::{alloc::Layout, ptr::NonNull};

use linked_list_allocator::Heap;

use super::{allocate_block, frame::Frame, free_block};
use crate::arch::direct_map::{self, FRAME_BYTES};

/// Extents are blocks of this order, 64 KiB.
const ORDER: usize = 4;
const EXTENT_BYTES: usize = FRAME_BYTES << ORDER;
/// What is larger, or aligned to more, has a block of its own.
const LARGEST: Layout = match Layout::from_size_align(EXTENT_BYTES / 4, FRAME_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a constant"),
};

/// What stands at an extent's start.
struct Extent {
    heap: Heap,
    frame: Frame,
    next: Option<NonNull<Extent>>,
    previous: Option<NonNull<Extent>>,
}

/// All extents. The first is the one that had room last.
pub(super) struct Extents {
    first: Option<NonNull<Extent>>,
}

// SAFETY: the extents are the list's own, and can be used by any CPU that has its lock.
unsafe impl Send for Extents {}

/// The order of the block that `layout` has for itself; `None` where it lies in an extent.
fn own_order(layout: Layout) -> Option<usize> {
    if layout.size() <= LARGEST.size() && layout.align() <= LARGEST.align() {
        return None;
    }
    // A layout's size, rounded up to its alignment, is no more than `isize::MAX`.
    let frames = layout.size().max(layout.align()).div_ceil(FRAME_BYTES);
    Some(frames.next_power_of_two().trailing_zeros() as usize)
}

impl Extents {
    pub(super) const fn new() -> Self {
        Self { first: None }
    }

    /// Memory of that layout, whose size is not 0; `None` when there is none.
    pub(super) fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if let Some(order) = own_order(layout) {
            return NonNull::new(direct_map::pointer(allocate_block(order)?));
        }
        let mut next = self.first;
        while let Some(mut extent) = next {
            // SAFETY: extents in the list are alive, and `&mut self` says that the lock is held.
            let found = unsafe { extent.as_mut() };
            if let Ok(memory) = found.heap.allocate_first_fit(layout) {
                self.unlink(extent);
                self.link(extent);
                return Some(memory);
            }
            next = found.next;
        }
        let mut extent = Self::make()?;
        self.link(extent);
        // SAFETY: as above.
        unsafe { extent.as_mut() }.heap.allocate_first_fit(layout).ok()
    }

    /// A new extent, in no list.
    fn make() -> Option<NonNull<Extent>> {
        let frame = allocate_block(ORDER)?;
        let extent = NonNull::new(direct_map::pointer(frame).cast::<Extent>())?;
        let mut heap = Heap::empty();
        // SAFETY: the block is this extent's alone; what lies behind its header is the heap's.
        unsafe {
            heap.init(extent.add(1).cast().as_ptr(), EXTENT_BYTES - size_of::<Extent>());
            extent.write(Extent { heap, frame, next: None, previous: None });
        }
        Some(extent)
    }

    /// Takes memory back.
    ///
    /// # Safety
    /// It came from [`Extents::allocate`] with the same layout, is given back once, and nobody uses it.
    pub(super) unsafe fn free(&mut self, memory: NonNull<u8>, layout: Layout) {
        if let Some(order) = own_order(layout) {
            return free_block(direct_map::frame(memory.as_ptr()), order);
        }
        let inside = memory.addr().get() % EXTENT_BYTES;
        // SAFETY: an extent is aligned to its size, and starts with its header.
        let mut extent = unsafe { memory.byte_sub(inside) }.cast::<Extent>();
        // SAFETY: the extent is alive while something in it is; the rest is the caller's.
        let (is_empty, frame) = unsafe {
            let found = extent.as_mut();
            found.heap.deallocate(memory, layout);
            (found.heap.used() == 0, found.frame)
        };
        if is_empty {
            self.unlink(extent);
            free_block(frame, ORDER);
        }
    }

    fn link(&mut self, mut extent: NonNull<Extent>) {
        // SAFETY: the extent is alive and in no list; the other one is the list's first.
        unsafe {
            let header = extent.as_mut();
            (header.previous, header.next) = (None, self.first);
            if let Some(mut next) = self.first {
                next.as_mut().previous = Some(extent);
            }
        }
        self.first = Some(extent);
    }

    fn unlink(&mut self, mut extent: NonNull<Extent>) {
        // SAFETY: the extent and its neighbours are in the list, so they are alive, and are different ones.
        unsafe {
            let header = extent.as_mut();
            let (previous, next) = (header.previous.take(), header.next.take());
            match previous {
                Some(mut previous) => previous.as_mut().next = next,
                None => self.first = next,
            }
            if let Some(mut next) = next {
                next.as_mut().previous = previous;
            }
        }
    }
}
