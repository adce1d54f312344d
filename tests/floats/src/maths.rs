//! Arithmetic, functions, and numbers as text.
#![forbid(unsafe_code)]

use alloc::{format, string::ToString};
use core::hint::black_box;

/// Whether two numbers are the same or neighbours: what a function may differ by that is not exactly rounded.
fn is_close(a: f64, b: f64) -> bool {
    a.to_bits().abs_diff(b.to_bits()) <= 1
}

/// IEEE 754 fixes the results of arithmetic and roots to the last bit. Those of other functions are held against
/// identities and known values.
pub fn functions_are_exact_where_they_must_be() {
    let (one, three) = (black_box(1.0_f64), black_box(3.0_f64));
    assert_eq!((one / three).to_bits(), 0x3fd5_5555_5555_5555);
    assert_eq!((black_box(0.1_f64) + black_box(0.2)).to_bits(), 0x3fd3_3333_3333_3334);
    assert_eq!(libm::sqrt(black_box(2.0)).to_bits(), 0x3ff6_a09e_667f_3bcd);
    assert_eq!((black_box(1.0_f32) / black_box(3.0)).to_bits(), 0x3eaa_aaab);
    assert!((black_box(0.0_f64) / black_box(0.0)).is_nan());
    assert_eq!(one / black_box(0.0), f64::INFINITY);
    // The smallest number there is stays one: nothing is flushed to zero.
    assert_eq!((black_box(f64::MIN_POSITIVE) / 4.0).to_bits(), 1 << 50);
    assert_eq!(black_box(-7.9_f64) as i64, -7);
    assert_eq!(black_box(1e300_f64) as u64, u64::MAX);

    assert!(is_close(libm::exp(one), core::f64::consts::E));
    assert!(is_close(4.0 * libm::atan(one), core::f64::consts::PI));
    for step in 1..200 {
        let x = f64::from(step) * 0.37;
        let (sin, cos) = (libm::sin(x), libm::cos(x));
        assert!((sin * sin + cos * cos - 1.0).abs() < 1e-15, "{x}");
        assert!((libm::log(libm::exp(x)) - x).abs() < 1e-13, "{x}");
        assert!((libm::pow(libm::cbrt(x), 3.0) / x - 1.0).abs() < 1e-14, "{x}");
    }
}

/// The shortest text that means the number, and the number that a text means.
pub fn numbers_are_written_and_read() {
    let sum = black_box(0.1_f64) + black_box(0.2);
    assert_eq!(sum.to_string(), "0.30000000000000004");
    assert_eq!(
        format!("{:.3} {:e} {:?}", black_box(2.0005_f32), black_box(1.5e300), -0.0),
        "2.000 1.5e300 -0.0"
    );
    for step in 0..1000_u64 {
        let number = f64::from_bits(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let read: f64 = number.to_string().parse().expect("a number");
        assert!(read.to_bits() == number.to_bits() || number.is_nan(), "{number:e}");
    }
}
