//! The first Rust code: from what a loader left to `kernel_main` with one [`BootInfo`].

use super::{boot, clock, cpu_area, direct_map, features, leftovers, serial};
use crate::boot::{BootError, BootInfo};

unsafe extern "Rust" {
    /// The boot order. In the kernel's `main.rs`.
    safe fn kernel_main(boot_info: &BootInfo) -> !;
}

unsafe extern "C" {
    safe static boot_stack_end: u8;
    /// The time-stamp counter at the kernel's entry. Written before any Rust code runs.
    safe static boot_ticks: u64;
}

/// How much of physical memory the boot tables map.
const BOOT_MAP_END: u64 = 1 << 32;

/// Called by the boot code with what it found in the loader's registers.
pub extern "C" fn start(magic: u32, information: u32) -> ! {
    // Everything reaches its per-CPU state through GS, so that comes first.
    cpu_area::area(0).install(0, &raw const boot_stack_end as u64);
    run(magic, information)
}

/// The rest, which knows which CPU this is. A function of its own, so that nothing of it comes before `install`.
#[inline(never)]
fn run(magic: u32, information: u32) -> ! {
    clock::init(boot_ticks);
    features::init();
    leftovers::clear();
    serial::init();
    crate::kprintln!("Orbital kernel starting...");
    match boot_info(magic, information.into()) {
        Ok(boot_info) => kernel_main(&boot_info),
        Err(error) => panic!("the loader's information is unusable: {error}"),
    }
}

fn boot_info(magic: u32, information: u64) -> Result<BootInfo, BootError> {
    match magic {
        boot::MULTIBOOT2_MAGIC => {
            // The first word is the total size (Multiboot2 specification, 3.4).
            let size = read(information, 8).map_or(0, |bytes| {
                u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
            });
            crate::boot::multiboot2::parse(read(information, size).unwrap_or(&[]))
        }
        // The boot code lets no other magic through.
        _ => crate::boot::pvh::parse(information, read),
    }
}

/// Physical memory, as far as the boot tables map it.
fn read(physical: u64, bytes: usize) -> Option<&'static [u8]> {
    let end = physical.checked_add(bytes as u64)?;
    if end > BOOT_MAP_END {
        return None;
    }
    // SAFETY: the boot tables map the range. What the loader left there stays until the frame
    // allocator starts, and by then all that is wanted of it has been copied or reserved.
    Some(unsafe { direct_map::bytes(physical, bytes) })
}
