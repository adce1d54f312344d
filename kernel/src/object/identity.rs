//! Numbers by which whoever looks at the whole system tells objects apart, and which tell no address: the object's
//! address, enciphered with a key that is drawn when the first number is wanted. So two objects that are there at the same
//! time have different numbers, and an object has the same one as long as it is there; one that comes later may have it again.
//!
//! The cipher is Speck64/128 (Beaulieu and others, "The SIMON and SPECK Families of Lightweight Block Ciphers", 2013).
#![forbid(unsafe_code)]

use spin::Once;

use super::AnyRef;
use crate::arch;

const ROUNDS: usize = 27;

type RoundKeys = [u32; ROUNDS];

static KEYS: Once<RoundKeys> = Once::new();

/// The number of an object.
pub fn identity(object: &AnyRef) -> u64 {
    let keys = KEYS.call_once(|| round_keys(draw()));
    encipher(keys, core::ptr::from_ref(object.header()).addr() as u64)
}

/// A key: of the machine's random numbers, where it has some, and of the time.
fn draw() -> [u32; 4] {
    let [low, high] = [1_u64, 2].map(|place| {
        let drawn = arch::random().unwrap_or(place);
        // The time alone is some bits of chance: they are spread over all.
        drawn ^ arch::clock::ticks().wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32)
    });
    [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
}

fn round_keys([first, rest @ ..]: [u32; 4]) -> RoundKeys {
    let mut keys = [first; ROUNDS];
    let mut words = rest;
    for round in 0..ROUNDS - 1 {
        let word = &mut words[round % 3];
        *word = keys[round].wrapping_add(word.rotate_right(8)) ^ round as u32;
        keys[round + 1] = keys[round].rotate_left(3) ^ *word;
    }
    keys
}

fn encipher(keys: &RoundKeys, block: u64) -> u64 {
    let (mut high, mut low) = ((block >> 32) as u32, block as u32);
    for key in keys {
        high = high.rotate_right(8).wrapping_add(low) ^ key;
        low = low.rotate_left(3) ^ high;
    }
    u64::from(high) << 32 | u64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the paper's appendix.
    #[test]
    fn the_cipher_is_the_one_of_the_paper() {
        let keys = round_keys([0x0302_0100, 0x0b0a_0908, 0x1312_1110, 0x1b1a_1918]);
        assert_eq!(encipher(&keys, 0x3b72_6574_7475_432d), 0x8c6f_a548_454e_028b);
    }

    #[test]
    fn addresses_side_by_side_have_numbers_that_do_not_show_it() {
        let keys = round_keys(draw());
        let numbers =
            [0_u64, 64, 128, 192].map(|offset| encipher(&keys, 0xffff_8000 << 32 | offset));
        for pair in numbers.windows(2) {
            assert!((pair[0] ^ pair[1]).count_ones() > 8, "{numbers:x?}");
        }
    }
}
