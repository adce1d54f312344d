//! An allocator that counts how often a task is freed. Its memory is never used again. Without a
//! planted bug it is overwritten, so that loom does not know the atomics in it any more; with one it
//! stays as it is, so that the bug is found by what it does and not by a crash.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use executor_loom::planted;

/// Allocations with this alignment are watched; nothing else asks for it.
pub const WATCHED: usize = 1024;

thread_local! {
    // Loom runs all threads of a model on the thread of its test.
    static FREED: Cell<usize> = const { Cell::new(0) };
}

struct Watch;

// SAFETY: the system's allocator does the work; what it does not get back is lost.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.align() == WATCHED {
            FREED.set(FREED.get() + 1);
            if !planted::any() {
                // SAFETY: the caller gives the memory up.
                unsafe { pointer.write_bytes(0xDD, layout.size()) };
            }
        } else {
            // SAFETY: the caller's.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
}

#[global_allocator]
static ALLOCATOR: Watch = Watch;

/// How many watched allocations were freed on this thread.
pub fn freed() -> usize {
    FREED.get()
}
