//! Devices' interrupts, as signals.
//!
//! ```no_run
//! use orbital_user::{Error, Interrupt, Notification};
//!
//! fn drive(mut has_work: impl FnMut() -> bool) -> Result<(), Error> {
//!     let word = Notification::create()?;
//!     let line = Interrupt::create(1)?;
//!     line.bind(&word, 1)?;
//!     loop {
//!         word.wait()?;
//!         // What comes from here on is a signal more.
//!         line.acknowledge()?;
//!         while has_work() {}
//!     }
//! }
//! ```
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, Registers, Rights, Syscall,
    arguments::{InterruptBind, InterruptCreate},
};

use crate::{
    capability::Capability, notification::Notification, start::bootstrap, syscall::harmless,
};

/// A line by which a device interrupts; closed on drop. When its last capability is closed, the line is free, and
/// masked.
#[derive(Debug)]
pub struct Interrupt(Capability);

impl Interrupt {
    /// Takes line `line`: below 16 the number that it had on a PC's ISA bus (1 is the keyboard, 4 the first serial port,
    /// 8 the clock), else the one that ACPI gives it. It signals nobody.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where there is no such line; [`Error::AlreadyBound`] while it is taken;
    /// [`Error::MissingRights`] without `DEVICES` on the system; [`Error::EmptySlot`] without the system;
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`].
    pub fn create(line: u64) -> Result<Self, Error> {
        let arguments = InterruptCreate { system: bootstrap().system, line };
        let results = harmless(Syscall::InterruptCreate, &arguments.encode())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the interrupt capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// Gives the slot away: it stays open.
    pub fn into_slot(self) -> CapSlot {
        self.0.into_slot()
    }

    /// A copy with these rights at most.
    ///
    /// # Errors
    /// As [`Capability::copy`].
    pub fn copy(&self, rights: Rights) -> Result<Self, Error> {
        self.0.copy(rights, 0).map(Self)
    }

    /// Lets its interrupts signal `bits` of `notification`, in place of what they did before. The CPU on which this is
    /// called takes them. After a signal the next one comes when it was [acknowledged](Self::acknowledge).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] without a bit; [`Error::MissingRights`] without `MANAGE`, or where the
    /// notification's capability does not allow to signal them; [`Error::NotificationGone`]; [`Error::Revoked`];
    /// [`Error::QuotaExceeded`]; those of the slots.
    pub fn bind(&self, notification: &Notification, bits: u64) -> Result<(), Error> {
        self.bind_raw(notification.slot(), bits)
    }

    /// Lets its interrupts signal nobody: it is masked.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `MANAGE`; those of the slot.
    pub fn unbind(&self) -> Result<(), Error> {
        self.bind_raw(CapSlot::NULL, 0)
    }

    fn bind_raw(&self, notification: CapSlot, bits: u64) -> Result<(), Error> {
        let arguments = InterruptBind { interrupt: self.slot(), notification, bits };
        harmless(Syscall::InterruptBind, &arguments.encode()).map(|_| ())
    }

    /// Lets it interrupt again. What has come since the last signal, and what the device still wants, is one signal more.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `MANAGE`; [`Error::NotificationGone`] where nothing is bound to it, or not any
    /// more; those of the slot.
    pub fn acknowledge(&self) -> Result<(), Error> {
        let registers = Registers::control([self.slot().bits(), 0, 0, 0]);
        harmless(Syscall::InterruptAcknowledge, &registers).map(|_| ())
    }
}
