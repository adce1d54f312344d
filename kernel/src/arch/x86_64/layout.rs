//! Where things stand in the upper half. Every module of this architecture uses these numbers;
//! `docs/memory-map.md` shows them as a table. The linker script repeats [`KERNEL_BASE`].
#![forbid(unsafe_code)]

/// All RAM, once: physical address 0 stands here.
pub const DIRECT_MAP: u64 = 0xffff_8000_0000_0000;
/// Where the direct map must end.
pub const DIRECT_MAP_END: u64 = 0xffff_c000_0000_0000;
/// Where the kernel maps stacks, the heap and devices.
pub const WINDOW: u64 = 0xffff_ff00_0000_0000;
/// Size of the window in bytes: one entry of the top level.
pub const WINDOW_BYTES: u64 = 1 << 39;
/// The kernel image is linked at this address plus its physical one.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;
