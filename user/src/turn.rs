//! The turn of the threads of a CPU. Beneath all that waits.
#![forbid(unsafe_code)]

use orbital_abi::{Registers, Syscall};

use crate::syscall::harmless;

/// Lets other threads of the same priority run first.
pub fn yield_now() {
    // It can't fail.
    let _ = harmless(Syscall::ThreadYield, &Registers::default());
}
