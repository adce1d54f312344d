//! This CPU's debug console: what is written is kept for the test to look at.
#![forbid(unsafe_code)]

use core::cell::RefCell;

std::thread_local! {
    static WRITTEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Writes `bytes`.
pub fn write(bytes: &[u8]) {
    WRITTEN.with_borrow_mut(|written| written.extend_from_slice(bytes));
}

/// What was written since the last time.
pub fn take() -> Vec<u8> {
    WRITTEN.take()
}
