//! Time since boot, from the time-stamp counter.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counter at boot, and its ticks per millisecond (0 until it has been measured).
static START: AtomicU64 = AtomicU64::new(0);
static TICKS_PER_MS: AtomicU64 = AtomicU64::new(0);

/// The raw counter.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: every CPU with 64-bit mode has the counter.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Starts the time.
pub fn init() {
    START.store(ticks(), Relaxed);
}

/// Takes the result of a measurement: so many ticks in so many milliseconds.
pub fn calibrated(ticks: u64, milliseconds: u64) {
    TICKS_PER_MS.store((ticks / milliseconds).max(1), Relaxed);
}

/// Microseconds since boot; 0 until the counter has been measured.
pub fn microseconds() -> u64 {
    match TICKS_PER_MS.load(Relaxed) {
        0 => 0,
        per_ms => {
            let passed = ticks().wrapping_sub(START.load(Relaxed));
            (u128::from(passed) * 1000 / u128::from(per_ms)) as u64
        }
    }
}
