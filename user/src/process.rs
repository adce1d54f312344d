//! Processes.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Registers, Syscall,
    arguments::{NAME_BYTES, ProcessCreate},
};

use crate::{capability::Capability, syscall::harmless, thread::wait};

/// A process. Closed on drop; a process that nobody has a capability to is ended.
#[derive(Debug)]
pub struct Process(Capability);

impl Process {
    /// An empty process, with a quota out of this one's.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is too long or has control characters;
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`].
    pub fn create(name: &str, frames: u64, kernel_bytes: u64) -> Result<Self, Error> {
        let mut bytes = [0; NAME_BYTES];
        let place = bytes.get_mut(..name.len()).ok_or(Error::InvalidArgument)?;
        place.copy_from_slice(name.as_bytes());
        let arguments = ProcessCreate { name: bytes, frames, kernel_bytes };
        let results = harmless(Syscall::ProcessCreate, &arguments.encode())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the process capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// Ends it.
    ///
    /// # Errors
    /// [`Error::Ended`] when it is ending already; those of the slot.
    pub fn kill(&self) -> Result<(), Error> {
        let registers = Registers::control([self.slot().bits(), 0, 0, 0]);
        harmless(Syscall::ProcessKill, &registers).map(|_| ())
    }

    /// Waits until it has ended and all it had is given back.
    ///
    /// # Errors
    /// Those of the slot.
    pub fn wait(&self) -> Result<ExitReason, Error> {
        wait(Syscall::ProcessWait, self.slot(), Deadline::Never)
    }

    /// Waits until it has ended and all it had is given back, until `deadline` (nanoseconds since
    /// boot).
    ///
    /// # Errors
    /// [`Error::TimedOut`]; those of the slot.
    pub fn wait_until(&self, deadline: u64) -> Result<ExitReason, Error> {
        wait(Syscall::ProcessWait, self.slot(), Deadline::from_bits(deadline))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] when it has not; those of the slot.
    pub fn try_wait(&self) -> Result<ExitReason, Error> {
        wait(Syscall::ProcessWait, self.slot(), Deadline::Now)
    }
}
