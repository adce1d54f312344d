//! What of the machine's devices is the kernel's own: by these a program could stop it, or take its time away.
#![forbid(unsafe_code)]

use core::ops::Range;

use orbital_abi::arguments::PortRange;

use super::{apic, debug_console, lines, pit, power};

/// The old interrupt controllers, the timer that time is measured by, what ends the machine, and where a trace goes.
const PORTS: [PortRange; 6] = [
    apic::LEGACY_PORTS[0],
    apic::LEGACY_PORTS[1],
    pit::PORTS,
    power::PORTS[0],
    power::PORTS[1],
    debug_console::PORTS,
];

/// Whether there are registers of the kernel's own in this range of physical addresses.
pub fn is_own_device(range: &Range<u64>) -> bool {
    let touches = |page: Range<u64>| range.start < page.end && page.start < range.end;
    touches(apic::page()) || lines::pages().any(touches)
}

/// Whether some of these ports are the kernel's own.
pub fn is_own_port(ports: PortRange) -> bool {
    PORTS.into_iter().any(|own| own.touches(ports))
}
