//! The time of the machine, or of a host thread that plays none of its CPUs: it passes only when a
//! test says so.
#![forbid(unsafe_code)]

use core::cell::Cell;

std::thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Nanoseconds since boot.
pub fn nanoseconds() -> u64 {
    super::race::point();
    now()
}

/// The same, for the machine itself.
pub(super) fn now() -> u64 {
    NOW.get()
}

/// A counter that goes on with the time: one tick is a nanosecond.
pub fn ticks() -> u64 {
    now()
}

/// Microseconds since boot.
pub fn microseconds() -> u64 {
    nanoseconds() / 1000
}

/// Lets `nanoseconds` pass.
pub fn advance(nanoseconds: u64) {
    NOW.set(now() + nanoseconds);
}

/// Back to boot.
pub(super) fn reset() {
    NOW.set(0);
}

/// By what the time comes from a counter that programs can read: there is none.
pub fn scale() -> (u64, u64) {
    (0, 0)
}
