//! The demo's divider: divides by zero. It should not get to its end.
#![cfg_attr(target_os = "none", no_std, no_main)]

use orbital_user::entry;

entry!(main);

fn main() {
    // In Rust a division by zero is a panic, which is no fault of the machine's.
    // SAFETY: the registers are given as clobbered; the fault ends the thread.
    unsafe {
        core::arch::asm!("div {zero:e}", zero = in(reg) 0, inout("eax") 1 => _, inout("edx") 0 => _);
    }
}
