//! A storm of non-maskable interrupts, for those who test what they do: the interval timer's output
//! reaches all CPUs as one, through the I/O controller (Intel 82093AA data sheet, 3.2.4).
//!
//! With instructions counted (`--icount`) they come at exact instructions, and their phase against
//! whatever loop runs drifts, so in time every instruction is hit.

use super::{pit, window};

/// Where PCs have the first I/O controller.
const CONTROLLER: u64 = 0xfec0_0000;
const SELECT: u64 = 0;
const DATA: u64 = 0x10;
/// The two inputs that the timer may be wired to: with and without ACPI's usual override.
const INPUTS: [u32; 2] = [0, 2];
const DELIVERY_NMI: u32 = 4 << 8;
const ALL_CPUS: u32 = 0xff << 24;

/// Starts it: one interrupt every `ticks` (at least 2) of the timer, which ticks 1.19 times in a
/// microsecond.
pub fn start(ticks: u16) {
    let controller = window::map_device(CONTROLLER, 4096);
    let write = |register: u32, value: u32| {
        // SAFETY: the controller's two registers, mapped for good; the inputs named above are the
        // timer's, which nobody else listens to.
        unsafe {
            ((controller + SELECT) as *mut u32).write_volatile(register);
            ((controller + DATA) as *mut u32).write_volatile(value);
        }
    };
    for input in INPUTS {
        write(0x11 + 2 * input, ALL_CPUS);
        write(0x10 + 2 * input, DELIVERY_NMI);
    }
    pit::repeat(ticks);
}
