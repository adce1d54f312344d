//! The boot order's steps, and what a loader would have said of this machine.
#![forbid(unsafe_code)]

use core::ops::Range;

use arrayvec::{ArrayString, ArrayVec};

use super::direct_map::RAM_BYTES;
use crate::{
    boot::{BootInfo, CommandLine, MemoryMap, Module},
    memory::{self, books::Books},
};

/// Memory below this is firmware's, as on the real machine.
const LOW_END: u64 = 1 << 20;
const FRAME: u64 = 4096;

/// Where the loader put its module: a quarter of the memory, for tests to write archives into.
pub const MODULE: Range<u64> = RAM_BYTES / 4 * 3..RAM_BYTES;

/// What a loader says: all memory is usable, and there is one module at [`MODULE`].
pub fn boot_info() -> BootInfo {
    let mut map = MemoryMap::default();
    // One region fits.
    let _ = map.add(0, RAM_BYTES, true);
    BootInfo {
        loader: ArrayString::from("the host").unwrap_or_default(),
        memory: map,
        modules: ArrayVec::from_iter([Module { start: MODULE.start, end: MODULE.end }]),
        command_line: CommandLine::default(),
        acpi: None,
        framebuffer: None,
    }
}

/// Starts the frame allocator over what `boot_info` says is usable, less firmware's and the
/// modules'. The heap is the host's.
pub fn init_memory(boot_info: &BootInfo) {
    let mut reserved: ArrayVec<Range<u64>, 16> = ArrayVec::new();
    reserved.push(0..LOW_END);
    for module in &boot_info.modules {
        reserved.push(module.start / FRAME * FRAME..module.end.next_multiple_of(FRAME));
    }
    let frames = (RAM_BYTES / FRAME) as usize;
    let links = Vec::from_iter((0..frames).map(|_| Default::default())).leak();
    let states = Vec::from_iter((0..frames).map(|_| Default::default())).leak();
    let books = Books::new(links, states);
    memory::start(books, boot_info.usable_frames(), boot_info.usable(&reserved));
}

/// There are no descriptors.
pub fn init_descriptors() {}

/// The simulated timer needs no calibration.
pub fn init_timer() {
    super::timer::disarm();
}

/// Programs of the host come in by [`entry`](super::entry), always.
pub fn init_user_entry() {}
