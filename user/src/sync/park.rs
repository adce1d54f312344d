//! One thread's own place to wait: a notification that is made at its first wait and closed with the thread.
//!
//! Who wakes a thread here may come late, when it waits for something else already. So whoever waits looks again each time
//! whether it has what it waits for.
#![forbid(unsafe_code)]

use core::cell::OnceCell;

use orbital_abi::{CapSlot, Deadline, Error};

use crate::{local::LocalKey, notification::Notification, turn};

/// The signal.
const WAKE: u64 = 1;

static PLACE: LocalKey<OnceCell<Notification>> = LocalKey::new(OnceCell::new);

/// By which another thread wakes one that waits in its place. Of a thread that has ended it wakes nobody.
#[derive(Clone, Copy, Debug)]
pub struct Unparker(CapSlot);

/// The calling thread's.
pub fn unparker() -> Unparker {
    let slot = PLACE.with(|place| {
        if place.get().is_none()
            && let Ok(made) = Notification::create()
        {
            // Nobody else sets it meanwhile.
            let _ = place.set(made);
        }
        place.get().map_or(CapSlot::NULL, Notification::slot)
    });
    Unparker(slot)
}

impl Unparker {
    /// Wakes it, or the next time that it waits here it does not.
    pub fn unpark(self) {
        if self.0 != CapSlot::NULL {
            let place = core::mem::ManuallyDrop::new(Notification::from_slot(self.0));
            // It has ended.
            let _ = place.signal(WAKE);
        }
    }
}

/// Waits until the calling thread is woken, or until `deadline`; may return earlier without a reason. Where there was no
/// memory for its place, others run first.
///
/// # Errors
/// [`Error::TimedOut`].
pub fn park(deadline: Deadline) -> Result<(), Error> {
    let Unparker(slot) = unparker();
    if slot == CapSlot::NULL {
        turn::yield_now();
        return match deadline {
            Deadline::Never => Ok(()),
            _ if crate::clock::now() < deadline.bits() => Ok(()),
            _ => Err(Error::TimedOut),
        };
    }
    let place = core::mem::ManuallyDrop::new(Notification::from_slot(slot));
    match place.take(deadline) {
        Err(error @ (Error::TimedOut | Error::WouldBlock)) => Err(error),
        _ => Ok(()),
    }
}
