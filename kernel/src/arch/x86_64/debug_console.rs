//! QEMU's debug console (`-device isa-debugcon`): what is written to its port comes out as it is. Without one, it goes
//! nowhere.
#![forbid(unsafe_code)]

use orbital_abi::arguments::PortRange;

use super::port;

/// Where `xtask` puts it, which is QEMU's default.
const PORT: u16 = 0xe9;
/// Its port.
pub const PORTS: PortRange = PortRange { first: PORT, last: PORT };

/// Writes `bytes`. Nobody else may do so meanwhile.
pub fn write(bytes: &[u8]) {
    for byte in bytes {
        port::write_u8(PORT, *byte);
    }
}
