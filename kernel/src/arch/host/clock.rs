//! The time of this CPU: it passes only when a test says so.
#![forbid(unsafe_code)]

use core::cell::Cell;

std::thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Microseconds since boot.
pub fn microseconds() -> u64 {
    NOW.get()
}

/// Lets `microseconds` pass.
pub fn advance(microseconds: u64) {
    NOW.set(NOW.get() + microseconds);
}

/// Back to boot.
pub(super) fn reset() {
    NOW.set(0);
}
