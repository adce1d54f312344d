//! What a PC's battery keeps for its firmware, in Bochs' own: RAM, the device to boot from, and that
//! nobody waits for a key. Without this the firmware waits 3 seconds, of which Bochs interprets every
//! instruction. Where a file has these registers, Bochs sets none of them by itself.
#![forbid(unsafe_code)]

/// The registers, by their numbers.
const BYTES: usize = 128;
const EQUIPMENT: usize = 0x14;
const LOW_KIB: [usize; 2] = [0x15, 0x16];
/// Above 1 MiB, twice.
const EXTENDED_KIB: [[usize; 2]; 2] = [[0x17, 0x18], [0x30, 0x31]];
/// Above 16 MiB, in pieces of 64 KiB.
const HIGH_PIECES: [usize; 2] = [0x34, 0x35];
const BOOT_DEVICES: usize = 0x3d;
const FLAGS: usize = 0x3f;
/// Of the registers from 0x10 to 0x2d; the upper byte comes first.
const CHECKSUM: [usize; 2] = [0x2f, 0x2e];

/// A processor with floating point, and a mouse port.
const FPU_AND_MOUSE: u8 = 0x06;
const CD_FIRST: u8 = 3;
const NO_MENU: u8 = 1;

/// The registers of a machine with so much RAM, all of it below 3 GiB.
pub fn image(mebibytes: u64) -> Vec<u8> {
    let mut registers = vec![0; BYTES];
    registers[EQUIPMENT] = FPU_AND_MOUSE;
    registers[BOOT_DEVICES] = CD_FIRST;
    registers[FLAGS] = NO_MENU;
    let kib = mebibytes * 1024;
    set(&mut registers, &LOW_KIB, 640);
    for places in &EXTENDED_KIB {
        set(&mut registers, places, kib.saturating_sub(1024).min(0xfc00));
    }
    set(&mut registers, &HIGH_PIECES, kib.saturating_sub(16 * 1024) / 64);
    let sum = registers[0x10..=0x2d].iter().map(|byte| u64::from(*byte)).sum();
    set(&mut registers, &CHECKSUM, sum);
    registers
}

/// Puts a number into these registers, the lowest byte first.
fn set(registers: &mut [u8], places: &[usize], number: u64) {
    for (place, byte) in places.iter().zip(number.to_le_bytes()) {
        registers[*place] = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(registers: &[u8], places: &[usize]) -> u64 {
        places.iter().rev().fold(0, |all, place| all << 8 | u64::from(registers[*place]))
    }

    #[test]
    fn ram_stands_where_firmware_looks_for_it() {
        for (mebibytes, extended, high) in
            [(8, 7 << 10, 0), (128, 0xfc00, 112 << 4), (2048, 0xfc00, 2032 << 4)]
        {
            let registers = image(mebibytes);
            assert_eq!(number(&registers, &EXTENDED_KIB[0]), extended, "{mebibytes}");
            assert_eq!(number(&registers, &EXTENDED_KIB[1]), extended, "{mebibytes}");
            assert_eq!(number(&registers, &HIGH_PIECES), high, "{mebibytes}");
        }
    }
}
