//! I/O ports that the kernel itself uses.

use x86_64::instructions::port::Port;

/// Writes one byte. Only the ports of this architecture's modules are ever named: timer, interrupt
/// controller, power.
pub(super) fn write_u8(port: u16, value: u8) {
    // SAFETY: the callers, all in this folder, name devices whose registers can't reach memory.
    unsafe { Port::new(port).write(value) }
}

/// Reads one byte.
pub(super) fn read_u8(port: u16) -> u8 {
    // SAFETY: as above.
    unsafe { Port::new(port).read() }
}
