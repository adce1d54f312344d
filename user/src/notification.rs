//! Notifications: signals that are waited for.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Error, Registers, Rights, Syscall,
    arguments::{NotificationSignal, NotificationWait},
};

use crate::{capability::Capability, syscall::harmless};

/// A notification, a word of 64 signals; closed on drop. When its last capability is closed, all who
/// wait for it get [`Error::NotificationGone`].
#[derive(Debug)]
pub struct Notification(Capability);

impl Notification {
    /// A new notification, with all rights.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`].
    pub fn create() -> Result<Self, Error> {
        let results = harmless(Syscall::NotificationCreate, &Registers::default())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the notification capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// A copy with these rights at most, through which only the bits of `mask` can be signalled; 0 is
    /// no limit beside what this one has.
    ///
    /// # Errors
    /// As [`Capability::copy`].
    pub fn copy(&self, rights: Rights, mask: u64) -> Result<Self, Error> {
        self.0.copy(rights, mask).map(Self)
    }

    /// Lets the receives of one thread, which `thread` names, end by a signal too, or of none, where that is null:
    /// [`Received::signals`](orbital_abi::Received::signals). Needs `RECEIVE` here and `MANAGE` there.
    ///
    /// # Errors
    /// [`Error::AlreadyBound`] when one of both is; [`Error::NotificationGone`]; [`Error::Ended`];
    /// [`Error::QuotaExceeded`]; [`Error::Revoked`]; those of the slots.
    pub fn bind(&self, thread: CapSlot) -> Result<(), Error> {
        let registers = Registers::control([self.slot().bits(), thread.bits(), 0, 0]);
        harmless(Syscall::NotificationBind, &registers).map(|_| ())
    }

    /// Signals `bits`. Never waits.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without a bit; [`Error::MissingRights`] without `SEND`, or for a bit
    /// outside of the capability's mask; [`Error::NotificationGone`]; those of the slot.
    pub fn signal(&self, bits: u64) -> Result<(), Error> {
        let arguments = NotificationSignal { notification: self.slot(), bits };
        harmless(Syscall::NotificationSignal, &arguments.encode()).map(|_| ())
    }

    /// Waits for signals and takes them all: which, at least one.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `RECEIVE`; [`Error::NotificationGone`]; those of the slot.
    pub fn wait(&self) -> Result<u64, Error> {
        self.take(Deadline::Never)
    }

    /// Waits for signals, until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// As [`Notification::wait`]; [`Error::TimedOut`].
    pub fn wait_until(&self, deadline: u64) -> Result<u64, Error> {
        self.take(Deadline::from_bits(deadline))
    }

    /// Takes the signals that are there.
    ///
    /// # Errors
    /// As [`Notification::wait`]; [`Error::WouldBlock`] when there are none.
    pub fn poll(&self) -> Result<u64, Error> {
        self.take(Deadline::Now)
    }

    pub(crate) fn take(&self, deadline: Deadline) -> Result<u64, Error> {
        let arguments = NotificationWait { notification: self.slot(), deadline };
        Ok(harmless(Syscall::NotificationWait, &arguments.encode())?.control[0])
    }
}
