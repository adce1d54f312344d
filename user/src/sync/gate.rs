//! A notification that is made when somebody has to wait: most of what could be waited for never is.
#![forbid(unsafe_code)]

use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicU64, Ordering},
};

use orbital_abi::{CapSlot, Error};

use crate::{notification::Notification, turn};

/// The signal.
const OPEN: u64 = 1;

/// Lets one who waits, or comes next, pass for each time that it is opened; times that nobody has used are one.
pub(super) struct Gate {
    /// The notification's slot; 0 until it is needed.
    slot: AtomicU64,
}

impl Gate {
    /// One that is closed.
    pub(super) const fn new() -> Self {
        Self { slot: AtomicU64::new(0) }
    }

    /// Opens it.
    pub(super) fn open(&self) {
        self.insist(|notification| notification.signal(OPEN).map(|()| OPEN));
    }

    /// Waits until it is opened.
    pub(super) fn pass(&self) {
        self.insist(Notification::wait);
    }

    /// Runs `f` with the notification until that succeeds. It fails where there is no memory for one, which others may
    /// give back.
    fn insist(&self, f: impl Fn(&Notification) -> Result<u64, Error>) {
        while self.notification().is_none_or(|notification| f(&notification).is_err()) {
            turn::yield_now();
        }
    }

    /// The notification; `None` when there is none and no memory for one.
    fn notification(&self) -> Option<ManuallyDrop<Notification>> {
        let mut bits = self.slot.load(Ordering::Acquire);
        if bits == 0 {
            let made = Notification::create().ok()?;
            let mine = made.slot().bits();
            let exchange = self.slot.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire);
            bits = match exchange {
                Ok(_) => {
                    core::mem::forget(made);
                    mine
                }
                // Someone was quicker; ours is closed.
                Err(theirs) => theirs,
            };
        }
        // The gate keeps it open.
        Some(ManuallyDrop::new(Notification::from_slot(CapSlot::from_bits(bits))))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let bits = *self.slot.get_mut();
        if bits != 0 {
            drop(Notification::from_slot(CapSlot::from_bits(bits)));
        }
    }
}
