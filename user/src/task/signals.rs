//! The bits of an executor's own notification: which are in use, which have come, and who waits for them. The thread's own.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::{
    cell::{Cell, RefCell},
    task::Waker,
};

use crate::local::LocalKey;

/// Ends the executor's rest, and says nothing else.
pub(super) const WAKE: u64 = 1;

/// Those of a thread.
pub(super) struct Signals {
    pub(super) used: Cell<u64>,
    pub(super) came: Cell<u64>,
    /// Who waits, and for which.
    pub(super) waiting: RefCell<Vec<(u64, Waker)>>,
}

pub(super) static SIGNALS: LocalKey<Signals> = LocalKey::new(|| Signals {
    used: Cell::new(WAKE),
    came: Cell::new(0),
    waiting: RefCell::new(Vec::new()),
});

/// Whether the executor has to look for them though it has other work.
pub(super) fn are_awaited() -> bool {
    SIGNALS.with(|signals| !signals.waiting.borrow().is_empty())
}

/// These have come.
pub(super) fn came(bits: u64) {
    if bits == 0 {
        return;
    }
    let woken: Vec<_> = SIGNALS.with(|signals| {
        signals.came.set(signals.came.get() | bits);
        signals.waiting.borrow_mut().extract_if(.., |(bit, _)| *bit & bits != 0).collect()
    });
    woken.into_iter().for_each(|(_, waker)| waker.wake());
}

impl Signals {
    /// Nobody waits for `bit` any more.
    pub(super) fn forget(&self, bit: u64) {
        self.waiting.borrow_mut().retain(|(other, _)| *other != bit);
    }
}
