//! The program's heap: one range of addresses that memory objects are mapped to as it grows.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::NonNull,
};

use linked_list_allocator::Heap;
use orbital_abi::{CapSlot, Error, Rights, arguments::MemoryMap};

use crate::{
    memory::{MemoryObject, map, whole_pages},
    sync::Mutex,
};

/// Where it starts.
const START: u64 = 0x2000_0000_0000;
/// How large it can get, in bytes.
const LIMIT: u64 = 1 << 40;
/// It grows by at least this much, in bytes.
const STEP: u64 = 64 * 1024;

struct ProgramHeap(Mutex<State>);

struct State {
    heap: Heap,
    /// How many bytes are mapped.
    mapped: u64,
}

#[global_allocator]
static HEAP: ProgramHeap = ProgramHeap(Mutex::new(State { heap: Heap::empty(), mapped: 0 }));

impl State {
    fn grow(&mut self, layout: Layout) -> Result<(), Error> {
        // What is wanted, its alignment, and the allocator's own notes.
        let wanted = layout.size() as u64 + layout.align() as u64 + 64;
        let bytes = whole_pages(wanted.max(STEP)).ok_or(Error::QuotaExceeded)?;
        if bytes > LIMIT - self.mapped {
            return Err(Error::QuotaExceeded);
        }
        let memory = MemoryObject::create(bytes)?;
        let address = START + self.mapped;
        // SAFETY: the heap's addresses are its own, and these were not used yet.
        unsafe {
            map(&MemoryMap {
                process: CapSlot::NULL,
                memory: memory.slot(),
                address,
                offset: 0,
                bytes,
                rights: Rights::READ | Rights::WRITE,
            })
        }?;
        if self.mapped == 0 {
            // SAFETY: the range was just mapped and is the heap's alone.
            unsafe { self.heap.init(address as *mut u8, bytes as usize) };
        } else {
            // SAFETY: the range was just mapped, right behind the heap's end.
            unsafe { self.heap.extend(bytes as usize) };
        }
        self.mapped += bytes;
        Ok(())
    }
}

// SAFETY: the allocator beneath gives out ranges that do not overlap; the mutex keeps threads apart.
unsafe impl GlobalAlloc for ProgramHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut state = self.0.lock();
        let mut found = state.heap.allocate_first_fit(layout);
        if found.is_err() && state.grow(layout).is_ok() {
            found = state.heap.allocate_first_fit(layout);
        }
        found.map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if let Some(pointer) = NonNull::new(pointer) {
            // SAFETY: the caller gives back what `alloc` gave for this layout.
            unsafe { self.0.lock().heap.deallocate(pointer, layout) };
        }
    }
}
