//! This CPU's serial line: what is sent is kept for the test to look at.
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};

use orbital_abi::arguments::PortRange;

/// The ports of the serial line.
pub const PORTS: PortRange = PortRange { first: 0x3f8, last: 0x3ff };

std::thread_local! {
    static SENT: RefCell<String> = const { RefCell::new(String::new()) };
    static BORROWERS: Cell<u64> = const { Cell::new(0) };
}

/// There is nothing to set up.
pub fn init() {}

/// Sends `text`, unless a program has the line.
pub fn write(text: &str) {
    if BORROWERS.get() == 0 {
        SENT.with_borrow_mut(|sent| sent.push_str(text));
    }
}

/// Leaves the line to a program.
pub fn lend() {
    BORROWERS.set(BORROWERS.get() + 1);
}

/// A program that had it has it no more.
pub fn give_back() {
    BORROWERS.set(BORROWERS.get() - 1);
}

/// No program has it any more.
pub fn take_back() {
    BORROWERS.set(0);
}

/// What was sent since the last time.
pub fn take() -> String {
    SENT.take()
}
