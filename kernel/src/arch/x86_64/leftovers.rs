//! What firmware or loader may have left in registers that the kernel does not use and that programs
//! would meet: debug registers that hit, an entry that leads nowhere, segment bases to read.

use x86_64::{
    VirtAddr,
    registers::{
        debug::{Dr7, Dr7Flags, Dr7Value},
        model_specific::{FsBase, KernelGsBase, Msr},
    },
};

/// The code segment that `sysenter` loads; with a null one it is refused (Intel SDM volume 2, SYSENTER).
const SYSENTER_CS: u32 = 0x174;
/// Where `syscall` from 32-bit code leads, which no program can have.
const CSTAR: u32 = 0xc000_0083;

/// Clears them. Once on each CPU, before its first program.
pub fn clear() {
    Dr7::write(Dr7Value::from(Dr7Flags::empty()));
    FsBase::write(VirtAddr::zero());
    // While the kernel runs, this is the program's.
    KernelGsBase::write(VirtAddr::zero());
    for register in [SYSENTER_CS, CSTAR] {
        // SAFETY: every CPU with long mode has both, and zero turns the entries off.
        unsafe { Msr::new(register).write(0) };
    }
}
