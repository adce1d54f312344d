//! The programmable interval timer, whose frequency is known: the ruler for the others
//! (Intel 8254 data sheet; channel 2 is gated and read through port 0x61).
#![forbid(unsafe_code)]

use super::port;

const FREQUENCY: u64 = 1_193_182;
/// How long [`wait`] takes, in milliseconds.
pub const CALIBRATION_MS: u64 = 10;

const CHANNEL_2: u16 = 0x42;
const COMMAND: u16 = 0x43;
const CONTROL: u16 = 0x61;
const GATE: u8 = 1;
const SPEAKER: u8 = 2;
const OUTPUT: u8 = 1 << 5;

/// Waits for [`CALIBRATION_MS`].
///
/// # Panics
/// Where the machine has no such timer: there is nothing else to measure time by.
pub fn wait() {
    let count = (FREQUENCY * CALIBRATION_MS / 1000) as u16;
    let control = port::read_u8(CONTROL) & !(GATE | SPEAKER);
    port::write_u8(CONTROL, control);
    // Channel 2, both bytes, mode 0: the output rises when the count is through.
    port::write_u8(COMMAND, 0b1011_0000);
    port::write_u8(CHANNEL_2, count as u8);
    port::write_u8(CHANNEL_2, (count >> 8) as u8);
    port::write_u8(CONTROL, control | GATE);
    // A read of a port takes about a microsecond on real hardware, and much less in an emulator.
    let mut patience: u32 = 100_000_000;
    while port::read_u8(CONTROL) & OUTPUT == 0 {
        patience -= 1;
        assert!(patience > 0, "no interval timer to measure time by");
    }
    port::write_u8(CONTROL, control);
}
