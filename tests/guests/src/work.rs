//! Work for the kernel: many mappings, which take it many steps to remove.

use orbital_user::{
    CapSlot, Error,
    abi::{arguments::MemoryUnmap, layout::PAGE_SIZE},
    memory::{guard, unmap},
};

/// Where they are.
const PLACE: u64 = 0x2800_0000_0000;
const MAPPINGS: u64 = 64;

/// Makes them.
pub fn prepare_work() {
    undo_work().unwrap();
    for number in 0..MAPPINGS {
        // SAFETY: nobody else uses this place, and a guard is not used at all.
        unsafe { guard(PLACE + 2 * number * PAGE_SIZE, PAGE_SIZE) }.unwrap();
    }
}

/// Removes all that are there.
///
/// # Errors
/// Those of [`unmap`].
pub fn undo_work() -> Result<(), Error> {
    let bytes = 2 * MAPPINGS * PAGE_SIZE;
    // SAFETY: nothing of it is used.
    unsafe { unmap(&MemoryUnmap { process: CapSlot::NULL, address: PLACE, bytes }) }
}
