//! The interrupt that ends a slice.
#![forbid(unsafe_code)]

use core::cell::Cell;

use super::clock;

std::thread_local! {
    /// When it comes, in microseconds since boot.
    static DUE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Asks for one timer interrupt in `microseconds`. Replaces an earlier request.
pub fn arm(microseconds: u64) {
    DUE.set(Some(clock::microseconds() + microseconds.max(1)));
}

/// Takes the request back.
pub fn disarm() {
    DUE.set(None);
}

/// How long until the interrupt; `None` where none was asked for.
pub fn left() -> Option<u64> {
    DUE.get().map(|due| due.saturating_sub(clock::microseconds()))
}

/// Whether the interrupt is due. Then it is on its way, and the request is over.
pub fn take_expired() -> bool {
    let expired = left() == Some(0);
    if expired {
        disarm();
    }
    expired
}
