//! What the loader said about memory, and where the linker put the kernel: for the tests.

use alloc::vec::Vec;
use core::ops::Range;

use kernel::{
    arch::x86_64::layout::KERNEL_BASE,
    boot::{BootInfo, Module},
};

unsafe extern "C" {
    safe static kernel_image_start: u8;
    safe static kernel_text_end: u8;
    safe static kernel_rodata_end: u8;
    safe static kernel_stack_guard: u8;
    safe static boot_stack_end: u8;
    safe static kernel_boot_tables_start: u8;
    safe static kernel_boot_tables_end: u8;
    safe static kernel_image_end: u8;
}

struct Loaded {
    usable: Vec<Range<u64>>,
    modules: Vec<Module>,
}

static LOADED: spin::Once<Loaded> = spin::Once::new();

/// Keeps what tests want to know.
pub fn keep(boot_info: &BootInfo) {
    LOADED.call_once(|| Loaded {
        usable: boot_info.usable(&[]).collect(),
        modules: boot_info.modules.to_vec(),
    });
}

fn loaded() -> &'static Loaded {
    LOADED.get().expect("kept before the first test")
}

/// Physical ranges of RAM, whole frames.
pub fn usable() -> &'static [Range<u64>] {
    &loaded().usable
}

/// Physical ranges of what was loaded beside the kernel.
pub fn modules() -> impl Iterator<Item = Range<u64>> {
    loaded().modules.iter().map(|module| module.start..module.end)
}

/// One past the last physical address of RAM.
pub fn ram_end() -> u64 {
    usable().iter().map(|range| range.end).max().unwrap_or(0)
}

/// Addresses of the kernel's code.
pub fn text() -> Range<u64> {
    &raw const kernel_image_start as u64..&raw const kernel_text_end as u64
}

/// Addresses of its constants.
pub fn constants() -> Range<u64> {
    &raw const kernel_text_end as u64..&raw const kernel_rodata_end as u64
}

/// Addresses of its variables, the boot stack included.
pub fn data() -> Range<u64> {
    &raw const kernel_rodata_end as u64..&raw const kernel_image_end as u64
}

/// Address of the page below the boot stack.
pub fn stack_guard() -> u64 {
    &raw const kernel_stack_guard as u64
}

/// Addresses of the boot stack.
pub fn boot_stack() -> Range<u64> {
    stack_guard() + 4096..&raw const boot_stack_end as u64
}

/// Addresses that the boot tables had in it, which are not mapped.
pub fn boot_tables() -> Range<u64> {
    &raw const kernel_boot_tables_start as u64..&raw const kernel_boot_tables_end as u64
}

/// Physical addresses of the image, but for the boot tables, which are given back.
pub fn image() -> [Range<u64>; 2] {
    [text().start..boot_tables().start, boot_tables().end..data().end].map(physical)
}

/// Physical addresses of a range of the kernel image.
pub fn physical(range: Range<u64>) -> Range<u64> {
    range.start - KERNEL_BASE..range.end - KERNEL_BASE
}
