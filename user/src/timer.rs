//! Timers: signals at certain times.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, Rights, Syscall,
    arguments::{TimerCreate, TimerSet},
};

use crate::{capability::Capability, notification::Notification, syscall::harmless};

pub use orbital_abi::arguments::LEAST_PERIOD_NS;

/// The time of a timer that is not armed.
const DISARMED: u64 = u64::MAX;

/// A timer; closed on drop. When its last capability is closed, it does not fire any more.
#[derive(Debug)]
pub struct Timer(Capability);

impl Timer {
    /// A timer that is not armed, and will signal `bits` of `notification`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without a bit; [`Error::MissingRights`] where this capability does not
    /// allow to signal them; [`Error::QuotaExceeded`]; [`Error::Revoked`]; [`Error::TableFull`]; those of the slot.
    pub fn create(notification: &Notification, bits: u64) -> Result<Self, Error> {
        let arguments = TimerCreate { notification: notification.slot(), bits };
        let results = harmless(Syscall::TimerCreate, &arguments.encode())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the timer capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// A copy with these rights at most.
    ///
    /// # Errors
    /// As [`Capability::copy`].
    pub fn copy(&self, rights: Rights) -> Result<Self, Error> {
        self.0.copy(rights, 0).map(Self)
    }

    /// Lets it fire once, at `deadline` (nanoseconds since boot), at once where that has passed. What was
    /// set before is forgotten: gives when it would have fired next, if it was armed.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `MANAGE`; [`Error::Revoked`] when the capability to the notification was by which
    /// it was made; those of the slot.
    pub fn set(&self, deadline: u64) -> Result<Option<u64>, Error> {
        self.set_raw(deadline, 0)
    }

    /// Lets it fire at `deadline` and then every `period` nanoseconds, at least [`LEAST_PERIOD_NS`]. Times
    /// that pass before it fires are one signal; the others are not shifted by that.
    ///
    /// # Errors
    /// As [`Timer::set`]; [`Error::InvalidArgument`] for a shorter period.
    pub fn set_periodic(&self, deadline: u64, period: u64) -> Result<Option<u64>, Error> {
        // 0 would mean once.
        if period == 0 {
            return Err(Error::InvalidArgument);
        }
        self.set_raw(deadline, period)
    }

    /// Lets it not fire. After that no signal of it comes.
    ///
    /// # Errors
    /// As [`Timer::set`].
    pub fn disarm(&self) -> Result<Option<u64>, Error> {
        self.set_raw(DISARMED, 0)
    }

    fn set_raw(&self, deadline: u64, period: u64) -> Result<Option<u64>, Error> {
        let arguments = TimerSet { timer: self.slot(), deadline, period };
        let before = harmless(Syscall::TimerSet, &arguments.encode())?.control[0];
        Ok((before != DISARMED).then_some(before))
    }
}
