//! The programmable interval timer, whose frequency is known: the ruler for the others
//! (Intel 8254 data sheet). Channel 0 alone, read back by command: the gate and output of channel 2
//! stand at a port that not every machine has.
#![forbid(unsafe_code)]

use orbital_abi::arguments::PortRange;

use super::port;

/// Its ports: the three channels' and the command's.
pub const PORTS: PortRange = PortRange { first: CHANNEL_0, last: COMMAND };

const FREQUENCY: u64 = 1_193_182;
/// How long [`wait`] takes, in milliseconds.
pub const CALIBRATION_MS: u64 = 10;

const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, both bytes, mode 0: the output falls, and rises when the count is through.
const ONE_SHOT: u8 = 0b0011_0000;
/// Channel 0, both bytes, mode 2: the output falls for one tick at the end of each count.
const RATE: u8 = 0b0011_0100;
/// Latches the status of channel 0, which the next read of its port gives.
const READ_BACK_STATUS: u8 = 0b1110_0010;
/// In the status: the output is high.
const OUTPUT: u8 = 1 << 7;
/// In the status: how the channel was set up, in the bits of [`ONE_SHOT`].
const SET_UP: u8 = 0b0011_1111;

fn status() -> u8 {
    port::write_u8(COMMAND, READ_BACK_STATUS);
    port::read_u8(CHANNEL_0)
}

/// Waits for [`CALIBRATION_MS`]. Its interrupt is masked.
///
/// # Panics
/// Where the machine has no such timer: there is nothing else to measure time by.
pub fn wait() {
    let count = (FREQUENCY * CALIBRATION_MS / 1000) as u16;
    port::write_u8(COMMAND, ONE_SHOT);
    port::write_u8(CHANNEL_0, count as u8);
    port::write_u8(CHANNEL_0, (count >> 8) as u8);
    // Where nothing answers, all bits read as ones.
    assert!(status() & SET_UP == ONE_SHOT, "no interval timer to measure time by");
    // A read of a port takes about a microsecond on real hardware, and much less in an emulator.
    let mut patience: u32 = 100_000_000;
    while status() & OUTPUT == 0 {
        patience -= 1;
        assert!(patience > 0, "the interval timer does not count");
    }
}

/// Makes the output rise every `ticks`, from now on.
pub fn repeat(ticks: u16) {
    port::write_u8(COMMAND, RATE);
    port::write_u8(CHANNEL_0, ticks as u8);
    port::write_u8(CHANNEL_0, (ticks >> 8) as u8);
}
