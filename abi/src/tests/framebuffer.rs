//! Framebuffers in registers, and colours in pixels.

use crate::{
    Registers,
    framebuffer::{Channel, Framebuffer},
};
use proptest::prelude::*;

const USUAL: Framebuffer = Framebuffer {
    address: 0xfd00_0000,
    width: 1024,
    height: 768,
    pitch: 4096,
    bits_per_pixel: 32,
    red: Channel { position: 16, bits: 8 },
    green: Channel { position: 8, bits: 8 },
    blue: Channel { position: 0, bits: 8 },
};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_framebuffer_comes_back_as_it_went(
        address in 0..1_u64 << 52,
        width in 1..5000_u32,
        height in 1..5000_u32,
        more in 0..100_u32,
        colours in [0..12_u8, 12..24, 24..32],
    ) {
        let [red, green, blue] = colours.map(|position| Channel { position, bits: 8.min(32 - position) });
        let pitch = 4 * width + more;
        let found = Framebuffer { address, width, height, pitch, bits_per_pixel: 32, red, green, blue };
        prop_assert_eq!(Framebuffer::decode(&found.encode()), Some(found));
    }

    #[test]
    fn only_what_one_is_encoded_to_is_decoded(control: [u64; 4], shifts in [0..64_u32, 0..64, 0..64, 0..64]) {
        let mut control = control;
        for (word, shift) in control.iter_mut().zip(shifts) {
            *word >>= shift;
        }
        let registers = Registers::control(control);
        if let Some(found) = Framebuffer::decode(&registers) {
            prop_assert!(found.is_sound());
            prop_assert_eq!(found.encode(), registers);
        }
    }
}

#[test]
fn what_is_none_is_refused() {
    assert_eq!(Framebuffer::decode(&USUAL.encode()), Some(USUAL));
    let outside = Channel { position: 25, bits: 8 };
    for wrong in [
        Framebuffer { width: 0, ..USUAL },
        Framebuffer { height: 0, ..USUAL },
        Framebuffer { pitch: 4095, ..USUAL },
        Framebuffer { width: 1025, ..USUAL },
        Framebuffer { bits_per_pixel: 33, pitch: u32::MAX, ..USUAL },
        Framebuffer { bits_per_pixel: 16, ..USUAL },
        Framebuffer { address: u64::MAX - 768 * 4096 + 1, ..USUAL },
        Framebuffer { red: outside, ..USUAL },
        Framebuffer { blue: Channel { position: 255, bits: 255 }, ..USUAL },
    ] {
        assert!(!wrong.is_sound(), "{wrong:?}");
        assert_eq!(Framebuffer::decode(&wrong.encode()), None, "{wrong:?}");
    }
}

#[test]
fn colours_stand_where_their_channels_are() {
    assert_eq!(USUAL.pixel(0xff, 0, 0), 0xff_0000);
    assert_eq!(USUAL.pixel(0x12, 0x34, 0x56), 0x12_3456);
    let small = Framebuffer {
        bits_per_pixel: 16,
        red: Channel { position: 11, bits: 5 },
        green: Channel { position: 5, bits: 6 },
        blue: Channel { position: 0, bits: 5 },
        ..USUAL
    };
    assert!(small.is_sound());
    assert_eq!(small.pixel_bytes(), 2);
    assert_eq!(small.pixel(255, 255, 255), 0xffff);
    assert_eq!(small.pixel(255, 0, 0), 0xf800);
    assert_eq!(small.pixel(0, 255, 128), 0x07ef);
}
