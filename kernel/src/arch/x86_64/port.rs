//! I/O ports: those that the kernel itself uses, and others for programs that may reach them.

use orbital_abi::arguments::PortWidth;
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

/// Reads for a program that may do so, one of nobody's [own](super::is_own_port) ports.
pub fn read(port: u16, width: PortWidth) -> u32 {
    // SAFETY: the kernel uses no device that programs reach, but the first serial port, which is text alone. What
    // a device does to memory at a program's word is up to whoever gave the program that device.
    unsafe {
        match width {
            PortWidth::Byte => Port::<u8>::new(port).read().into(),
            PortWidth::Word => Port::<u16>::new(port).read().into(),
            PortWidth::Double => Port::<u32>::new(port).read(),
        }
    }
}

/// Writes for a program that may do so, as far as `width` goes.
pub fn write(port: u16, width: PortWidth, value: u32) {
    // SAFETY: as above.
    unsafe {
        match width {
            PortWidth::Byte => Port::new(port).write(value as u8),
            PortWidth::Word => Port::new(port).write(value as u16),
            PortWidth::Double => Port::new(port).write(value),
        }
    }
}
