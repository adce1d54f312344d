//! Waiting for interrupts, and letting them in between two steps of kernel work.

use core::arch::{asm, global_asm};

global_asm!(
    ".global orbital_wait, orbital_halt, orbital_halted",
    "orbital_wait:",
    "sti",
    "orbital_halt:",
    "hlt",
    "orbital_halted:",
    "cli",
    "ret",
);

unsafe extern "C" {
    fn orbital_wait();
    safe static orbital_halt: u8;
    safe static orbital_halted: u8;
}

/// Waits for an interrupt. Call with interrupts off, after checking that there is nothing to do:
/// `sti` holds interrupts back for one instruction, so none can slip in before the `hlt`; and should
/// a non-maskable one have used up that instruction, [`past_halt`] skips the `hlt`.
pub fn wait_for_interrupt() {
    // SAFETY: the handlers of interrupts that come from kernel mode only record and wake; the
    // dispatcher, which calls this, holds no lock and no borrowed per-CPU state.
    unsafe { orbital_wait() }
}

/// Where the kernel goes on after an interrupt at `instruction`. One that comes right before the
/// `hlt` must not go to sleep after all: what it has brought would wait for the next one. `sti` does
/// not hold back a non-maskable interrupt, and on the return from its handler others come in at once.
pub fn past_halt(instruction: u64) -> u64 {
    if instruction == &raw const orbital_halt as u64 {
        &raw const orbital_halted as u64
    } else {
        instruction
    }
}

/// Takes the interrupts that are waiting. Call with interrupts off, no lock held and no per-CPU
/// state borrowed.
pub fn interrupt_window() {
    // SAFETY: as above. The `nop` is where they come in: `sti` takes effect after it.
    unsafe { asm!("sti", "nop", "cli") }
}

/// Stops this CPU for ever.
pub fn stop() -> ! {
    loop {
        // SAFETY: with interrupts off this never goes on, but for an NMI, which is harmless.
        unsafe { asm!("cli", "hlt") }
    }
}
