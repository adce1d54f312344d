//! This CPU's serial line: what is sent is kept for the test to look at.
#![forbid(unsafe_code)]

use core::cell::RefCell;

std::thread_local! {
    static SENT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// There is nothing to set up.
pub fn init() {}

/// Sends `text`.
pub fn write(text: &str) {
    SENT.with_borrow_mut(|sent| sent.push_str(text));
}

/// There is no lock to break.
pub fn break_lock() {}

/// What was sent since the last time.
pub fn take() -> String {
    SENT.take()
}
