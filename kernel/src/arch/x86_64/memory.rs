//! Boot-time memory: finds room for the kernel's tables and the frame allocator's books, before
//! there is an allocator.

use core::slice::from_raw_parts;

use arrayvec::ArrayVec;

use super::{direct_map, kernel_space, smp};
use crate::{
    boot::BootInfo,
    memory::{
        self,
        books::{self, Books, Links},
        frame::Frame,
    },
};

/// Memory below this is firmware's, which may write there even where its map calls it usable: Linux
/// has kept as much (CONFIG_X86_RESERVE_LOW).
const LOW_END: u64 = 64 << 10;
/// Video memory and firmware's code, whatever the map says.
const LEGACY: core::ops::Range<u64> = 0xa_0000..1 << 20;
/// The boot tables map no more than this.
const BOOT_MAP_END: u64 = 1 << 32;
const FRAME: u64 = 4096;

/// Takes frames off the start of one free range.
struct Bump {
    start: u64,
    next: u64,
    end: u64,
}

impl Bump {
    fn take(&mut self, bytes: u64) -> u64 {
        let at = self.next;
        self.next = (at + bytes).next_multiple_of(FRAME);
        assert!(self.next <= self.end, "not enough memory for the kernel's own tables");
        at
    }
}

/// Maps all RAM, starts the frame allocator, and with it the heap.
///
/// # Panics
/// Where the machine has too little memory to start at all.
pub fn init_memory(boot_info: &BootInfo) {
    let mut reserved: ArrayVec<core::ops::Range<u64>, 16> = ArrayVec::new();
    reserved.push(0..LOW_END);
    reserved.push(LEGACY);
    reserved
        .extend(smp::trampoline_page(boot_info).map(|page| page.address()..page.address() + FRAME));
    reserved.push(kernel_space::image());
    for module in &boot_info.modules {
        // There are fewer modules than places.
        reserved.push(module.start / FRAME * FRAME..module.end.next_multiple_of(FRAME));
    }
    // The largest free range that the boot tables map.
    let (start, end) = boot_info
        .usable(&reserved)
        .map(|range| (range.start, range.end.min(BOOT_MAP_END)))
        .max_by_key(|(start, end)| end.saturating_sub(*start))
        .expect("no usable memory");
    let mut bump = Bump { start, next: start, end };

    let ram_end = boot_info.usable(&[]).map(|range| range.end).max().unwrap_or(0);
    kernel_space::init(ram_end.max(BOOT_MAP_END), || Frame::containing(bump.take(FRAME)));

    let books = take_books(&mut bump, ram_end / FRAME);
    reserved.push(bump.start..bump.next);
    memory::start(books, boot_info.usable_frames(), boot_info.usable(&reserved));
}

/// Room for the books of frames below number `frames`.
fn take_books(bump: &mut Bump, frames: u64) -> Books<'static> {
    let bytes = frames * books::BYTES as u64;
    let start = direct_map::address(bump.take(bytes)) as *mut u8;
    let frames = frames as usize;
    // SAFETY: the range was just taken out of free memory, so nobody else knows it; it is mapped by
    // the direct map from here on. It starts with a frame, and zeroes are valid links and states.
    unsafe {
        start.write_bytes(0, bytes as usize);
        let states = start.add(frames * size_of::<Links>()).cast();
        Books::new(from_raw_parts(start.cast(), frames), from_raw_parts(states, frames))
    }
}
