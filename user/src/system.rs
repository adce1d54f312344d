//! The system: power, counters. The log stands in [`print`](crate::print).
#![forbid(unsafe_code)]

use orbital_abi::{Error, Registers, Syscall, statistics::Statistic};

use crate::{start::bootstrap, syscall::harmless};

/// Powers off, with success where `code` is 0.
///
/// # Errors
/// [`Error::MissingRights`] without `SHUTDOWN`; [`Error::EmptySlot`] without the system. On success
/// it does not return.
pub fn shutdown(code: u64) -> Result<core::convert::Infallible, Error> {
    let registers = Registers::control([bootstrap().system.bits(), code, 0, 0]);
    harmless(Syscall::SystemShutdown, &registers)?;
    // The kernel has powered off.
    Err(Error::UnknownSyscall)
}

/// Reads a counter of the kernel's.
///
/// # Errors
/// [`Error::MissingRights`] without `STATISTICS`; [`Error::EmptySlot`] without the system.
pub fn statistic(statistic: Statistic) -> Result<u64, Error> {
    let registers = Registers::control([bootstrap().system.bits(), statistic as u64, 0, 0]);
    Ok(harmless(Syscall::SystemStatistics, &registers)?.control[0])
}
