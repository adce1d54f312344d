//! Time since boot, from the time-stamp counter.

use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// The counter at boot.
static START: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds in 2^32 ticks; 0 until it has been measured.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(0);
const FRACTION: u32 = 32;

/// The raw counter.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: every CPU with 64-bit mode has the counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Lets the time begin at this value of the counter.
pub fn init(ticks: u64) {
    START.store(ticks, Relaxed);
}

/// Takes the result of a measurement: so many ticks in so many milliseconds.
pub fn calibrated(ticks: u64, milliseconds: u64) {
    let nanoseconds = u128::from(milliseconds) * 1_000_000;
    NS_PER_TICK.store(((nanoseconds << FRACTION) / u128::from(ticks.max(1))) as u64, Relaxed);
}

/// Nanoseconds since boot; 0 until the counter has been measured.
#[inline]
pub fn nanoseconds() -> u64 {
    nanoseconds_at(ticks())
}

/// The time at which the raw counter had this value, in nanoseconds since boot.
#[inline]
pub fn nanoseconds_at(ticks: u64) -> u64 {
    let passed = ticks.wrapping_sub(START.load(Relaxed));
    ((u128::from(passed) * u128::from(NS_PER_TICK.load(Relaxed))) >> FRACTION) as u64
}

/// How long so many ticks take, in nanoseconds.
pub fn duration(ticks: u64) -> u64 {
    ((u128::from(ticks) * u128::from(NS_PER_TICK.load(Relaxed))) >> FRACTION) as u64
}

/// By what the time comes from the counter: its value at boot, and nanoseconds in 2^32 ticks.
pub fn scale() -> (u64, u64) {
    (START.load(Relaxed), NS_PER_TICK.load(Relaxed))
}

/// Microseconds since boot; 0 until the counter has been measured.
pub fn microseconds() -> u64 {
    nanoseconds() / 1000
}

/// The counter's value at a time in nanoseconds since boot; the largest where that is beyond it.
pub fn ticks_at(nanoseconds: u64) -> u64 {
    let per_tick = u128::from(NS_PER_TICK.load(Relaxed)).max(1);
    let passed = (u128::from(nanoseconds) << FRACTION).div_ceil(per_tick);
    let end = passed + u128::from(START.load(Relaxed));
    end.min(u64::MAX.into()) as u64
}

/// Waits, with interrupts as they are: only at boot.
pub fn spin(microseconds: u64) {
    let end = self::microseconds() + microseconds;
    while self::microseconds() < end {
        spin_loop();
    }
}
