//! Waiting for interrupts, and letting them in between two steps of kernel work.

use core::arch::asm;

/// Waits for an interrupt. Call with interrupts off, after checking that there is nothing to do:
/// `sti` holds interrupts back for one instruction, so none can slip in before the `hlt`.
pub fn wait_for_interrupt() {
    // SAFETY: the handlers of interrupts that come from kernel mode only record and wake; the
    // dispatcher, which calls this, holds no lock and no borrowed per-CPU state.
    unsafe { asm!("sti", "hlt", "cli") }
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
