//! Page faults that the kernel resolves itself.
#![forbid(unsafe_code)]

use orbital_user::{MemoryObject, abi::layout::PAGE_SIZE};

use crate::{
    mappings::{PLACE, map_at, touch},
    measure::{MANY, Samples, measure},
};

/// The first touch of a page of an anonymous object: with the zeroing, where that is left until then.
pub fn zero() -> Samples {
    // A page for each round, the warm-up's too.
    let bytes = 2 * MANY as u64 * PAGE_SIZE;
    let memory = MemoryObject::create(bytes).expect("pages");
    map_at(&memory, PLACE, 0, bytes);
    let mut address = PLACE;
    measure(MANY, || {
        touch(address);
        address += PAGE_SIZE;
        0
    })
}
