//! Processes.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Registers, Syscall,
    arguments::{NAME_BYTES, ProcessCreate},
};

use crate::{capability::Capability, syscall::harmless, thread::wait};

/// How much a process may have, and has, what it gave to its children included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The most frames of 4 KiB.
    pub frames_limit: u64,
    /// Frames in use: pages of memory objects and page tables.
    pub frames_used: u64,
    /// The most bytes of kernel memory.
    pub kernel_bytes_limit: u64,
    /// Bytes of kernel memory in use: objects are paid by slabs of 4 KiB.
    pub kernel_bytes_used: u64,
}

/// What the calling process may have, and has.
///
/// # Errors
/// None: the kernel refuses no such call.
pub fn own_usage() -> Result<Usage, Error> {
    usage(CapSlot::NULL)
}

fn usage(process: CapSlot) -> Result<Usage, Error> {
    let registers = Registers::control([process.bits(), 0, 0, 0]);
    let [frames_limit, frames_used, kernel_bytes_limit, kernel_bytes_used] =
        harmless(Syscall::ProcessUsage, &registers)?.control;
    Ok(Usage { frames_limit, frames_used, kernel_bytes_limit, kernel_bytes_used })
}

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

    /// How much it may have, and has.
    ///
    /// # Errors
    /// Those of the slot.
    pub fn usage(&self) -> Result<Usage, Error> {
        usage(self.slot())
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
