//! I/O ports: each keeps the byte that was written there.
#![forbid(unsafe_code)]

use core::cell::RefCell;
use std::collections::HashMap;

use orbital_abi::arguments::{PortRange, PortWidth};

use super::race;

/// A port of the kernel's own.
pub const OWN: u16 = 0x20;

std::thread_local! {
    static BYTES: RefCell<HashMap<u16, u8>> = RefCell::default();
}

/// Reads from one, two or four ports.
pub fn read(port: u16, width: PortWidth) -> u32 {
    race::point();
    BYTES.with_borrow(|bytes| {
        let byte = |place: u16| u32::from(bytes.get(&(port + place)).copied().unwrap_or(0xff));
        (0..width as u16).map(|place| byte(place) << (8 * place)).sum()
    })
}

/// Writes to them.
pub fn write(port: u16, width: PortWidth, value: u32) {
    race::point();
    BYTES.with_borrow_mut(|bytes| {
        for (place, byte) in (0..width as u16).zip(value.to_le_bytes()) {
            bytes.insert(port + place, byte);
        }
    });
}

/// Whether some of these ports are the kernel's own.
pub fn is_own_port(ports: PortRange) -> bool {
    ports.touches(PortRange { first: OWN, last: OWN + 1 })
}

pub(super) fn reset() {
    BYTES.take();
}
