//! The window: upper-half addresses for stacks with guard pages and devices. Addresses
//! are given out upwards and never taken back.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use x86_64::{
    PhysAddr,
    structures::paging::{PageTable, PageTableFlags as Flags, page_table::PageTableEntry},
};

use super::{
    direct_map, kernel_space,
    layout::{WINDOW, WINDOW_BYTES},
};
use crate::memory::{self, frame::Frame};

/// Guards every change of the window's tables; innermost but for the frame allocator's lock.
static TABLES: spin::Mutex<()> = spin::Mutex::new(());
static NEXT: AtomicU64 = AtomicU64::new(WINDOW);

/// The next `bytes` addresses, aligned to `align` (a power of two), with an unmapped page before
/// them.
fn reserve(bytes: u64, align: u64) -> Option<u64> {
    let place = |next: u64| (next + 4096).next_multiple_of(align);
    let before = NEXT
        .try_update(Relaxed, Relaxed, |next| {
            let end = place(next).checked_add(bytes)?;
            (end <= WINDOW + WINDOW_BYTES).then_some(end)
        })
        .ok()?;
    Some(place(before))
}

/// The entry of one page, whose tables are made where they are missing. `None` without memory for
/// one.
fn entry(_locked: &mut (), address: u64) -> Option<&mut PageTableEntry> {
    let mut current = kernel_space::root();
    for shift in [39, 30, 21] {
        // SAFETY: tables of the kernel's space, guarded by the lock; the top-level entry of the
        // window exists from boot on.
        let table = unsafe { &mut *direct_map::pointer(current).cast::<PageTable>() };
        let entry = &mut table[(address >> shift & 0x1ff) as usize];
        if entry.is_unused() {
            let new = memory::allocate_frame()?;
            direct_map::zero(new);
            entry.set_addr(PhysAddr::new(new.address()), Flags::PRESENT | Flags::WRITABLE);
        }
        current = Frame::containing(entry.addr().as_u64());
    }
    // SAFETY: as above; the entry is borrowed as long as the lock is.
    let table = unsafe { &mut *direct_map::pointer(current).cast::<PageTable>() };
    Some(&mut table[(address >> 12 & 0x1ff) as usize])
}

fn set(entry: &mut PageTableEntry, physical: u64, flags: Flags) {
    let flags = flags | Flags::PRESENT | Flags::NO_EXECUTE | Flags::GLOBAL;
    entry.set_addr(PhysAddr::new(physical), flags);
}

/// Maps `bytes` (whole pages) of fresh zeroed memory at `address` of the window. `None` without
/// memory: then nothing was taken, unless others took it meanwhile.
fn fill(address: u64, bytes: u64) -> Option<()> {
    // A frame a page, and the tables: one for each 2 MiB that the range touches, and those above.
    let pages = bytes / 4096;
    if memory::free_frames() < pages + pages / 512 + 5 {
        return None;
    }
    for page in (address..address + bytes).step_by(4096) {
        let mut locked = TABLES.lock();
        let entry = entry(&mut locked, page)?;
        // Not so where an attempt ran out of memory half-way: what it mapped is used now.
        if entry.is_unused() {
            let frame = memory::allocate_frame()?;
            direct_map::zero(frame);
            set(entry, frame.address(), Flags::WRITABLE);
        }
    }
    Some(())
}

/// A stack of `bytes` (a power of two) aligned to its size, with a guard page below. Gives its
/// highest address.
///
/// # Panics
/// Without memory: only at boot.
pub fn map_stack(bytes: u64) -> u64 {
    let start = reserve(bytes, bytes).expect("the kernel window is full");
    fill(start, bytes).expect("no memory for a kernel stack");
    start + bytes
}

/// Maps the registers of a device, uncached. `bytes` are whole pages.
///
/// # Panics
/// Without memory: only at boot.
pub fn map_device(physical: u64, bytes: u64) -> u64 {
    let start = reserve(bytes, 4096).expect("the kernel window is full");
    for offset in (0..bytes).step_by(4096) {
        let flags = Flags::WRITABLE | Flags::NO_CACHE | Flags::WRITE_THROUGH;
        let mut locked = TABLES.lock();
        let entry = entry(&mut locked, start + offset).expect("no memory for a device mapping");
        set(entry, physical + offset, flags);
    }
    start
}
