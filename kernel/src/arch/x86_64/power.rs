//! Ending the machine, and telling its owner how.
#![forbid(unsafe_code)]

use orbital_abi::arguments::PortRange;

use super::{port, serial};

/// The ports that end the machine.
pub const PORTS: [PortRange; 2] = [
    PortRange { first: DEBUG_EXIT_PORT, last: DEBUG_EXIT_PORT + 3 },
    PortRange { first: BOCHS_PORT, last: BOCHS_PORT },
];

/// I/O port of QEMU's debug-exit device, where `xtask` puts it.
pub const DEBUG_EXIT_PORT: u16 = 0xf4;
/// Init did what it should.
pub const VERDICT_SUCCESS: u8 = 0x10;
/// Init could not be loaded, or ended otherwise.
pub const VERDICT_FAILURE: u8 = 0x11;
/// The kernel panicked.
pub const VERDICT_PANIC: u8 = 0x12;

/// Bochs ends when it reads this word at port 0x8900 ("APM shutdown", Bochs user manual).
const BOCHS_PORT: u16 = 0x8900;

/// Powers off with this verdict. Where no device answers, the CPU stops for ever.
pub fn off(verdict: u8) -> ! {
    serial::flush();
    port::write_u8(DEBUG_EXIT_PORT, verdict);
    // No debug-exit device, so this is no QEMU that xtask started.
    for byte in *b"Shutdown" {
        port::write_u8(BOCHS_PORT, byte);
    }
    super::idle::stop()
}

/// Starts the machine anew, by a fault that nothing can handle: for `test=reset`.
pub fn reset() -> ! {
    super::idt::forget();
    super::trap::breakpoint();
    super::idle::stop()
}
