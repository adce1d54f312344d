//! Work for the kernel: many mappings, which take it many steps to remove.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_user::{
    CapSlot, Error,
    abi::{arguments::MemoryUnmap, layout::PAGE_SIZE},
    memory::{guard, unmap},
};

/// Where they are.
const PLACE: u64 = 0x2800_0000_0000;
const MOST: u64 = 8192;
/// How many there are. How long the kernel takes for one hangs on the machine.
static MAPPINGS: AtomicU64 = AtomicU64::new(64);

/// Makes them.
pub fn prepare_work() {
    undo_work().unwrap();
    for number in 0..MAPPINGS.load(Relaxed) {
        // SAFETY: nobody else uses this place, and a guard is not used at all.
        unsafe { guard(PLACE + 2 * number * PAGE_SIZE, PAGE_SIZE) }.unwrap();
    }
}

/// The work was done before a slice was over: from here on there is twice as much.
pub fn want_more_work() {
    MAPPINGS.store(MOST.min(2 * MAPPINGS.load(Relaxed)), Relaxed);
}

/// Removes all that are there.
///
/// # Errors
/// Those of [`unmap`].
pub fn undo_work() -> Result<(), Error> {
    let bytes = 2 * MOST * PAGE_SIZE;
    // SAFETY: nothing of it is used.
    unsafe { unmap(&MemoryUnmap { process: CapSlot::NULL, address: PLACE, bytes }) }
}
