//! The ways into the kernel, which it offers by symbol, and the first way out.

use super::{SavedRegisters, Stop, current_registers, set_current};
use crate::arch::Trap;

unsafe extern "C-unwind" {
    /// A system call of the current thread, whose registers hold its arguments.
    safe fn orbital_syscall(registers: *mut SavedRegisters, number: u64) -> *mut SavedRegisters;
}

unsafe extern "Rust" {
    /// An interrupt or exception of the current thread.
    safe fn orbital_trap(trap: Trap) -> *mut SavedRegisters;
    /// An interrupt that came while the kernel let them in.
    safe fn orbital_interrupt_in_kernel(trap: Trap);
}

/// The current thread executes `syscall`, with its arguments in its registers. Gives the registers
/// of the thread that runs next.
///
/// # Errors
/// The [`Stop`] that kept the kernel from leaving.
pub fn syscall(number: u64) -> Result<*mut SavedRegisters, Stop> {
    super::run(|| orbital_syscall(current_registers(), number))
}

/// The current thread is interrupted, or did what it may not.
///
/// # Errors
/// As for [`syscall`].
pub fn trap(trap: Trap) -> Result<*mut SavedRegisters, Stop> {
    super::run(|| orbital_trap(trap))
}

/// Delivers an interrupt into the kernel.
pub(super) fn interrupt(trap: Trap) {
    orbital_interrupt_in_kernel(trap);
}

/// Enters user mode for the first time on this CPU.
///
/// # Safety
/// `registers` belong to the current thread, as [`set_current`] says, and its address space is
/// loaded. Nothing on the stack is needed any more.
pub unsafe fn enter_user(registers: *mut SavedRegisters) -> ! {
    set_current(registers);
    Stop::User.raise()
}
