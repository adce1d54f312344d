//! The system: power, counters. The log stands in [`print`](mod@crate::print).
#![forbid(unsafe_code)]

use orbital_abi::{Error, Registers, Syscall, statistics::Statistic, trace::Traced, waits::Wait};

use crate::{start::bootstrap, syscall::harmless};

/// Powers off, with success where `code` is 0. Where it returns, it gives the reason:
/// [`Error::MissingRights`] without `SHUTDOWN`, [`Error::EmptySlot`] without the system.
pub fn shutdown(code: u64) -> Error {
    let registers = Registers::control([bootstrap().system.bits(), code, 0, 0]);
    // On success the kernel does not come back.
    harmless(Syscall::SystemShutdown, &registers).err().unwrap_or(Error::UnknownSyscall)
}

/// Reads a counter of the kernel's.
///
/// # Errors
/// [`Error::MissingRights`] without `STATISTICS`; [`Error::EmptySlot`] without the system.
pub fn statistic(statistic: Statistic) -> Result<u64, Error> {
    let registers = Registers::control([bootstrap().system.bits(), statistic as u64, 0, 0]);
    Ok(harmless(Syscall::SystemStatistics, &registers)?.control[0])
}

/// The longest stretch with interrupts off on `cpu` since it was asked for on any CPU first, or last taken on
/// this one, in ticks of the time-stamp counter; under `--icount` these are instructions. 0 before there was one.
///
/// # Errors
/// [`Error::InvalidArgument`] without such a CPU; as [`statistic`].
pub fn interrupts_off(cpu: usize) -> Result<u64, Error> {
    read_interrupts_off(cpu, false)
}

/// The same; from here on it is counted anew.
///
/// # Errors
/// As [`interrupts_off`].
pub fn take_interrupts_off(cpu: usize) -> Result<u64, Error> {
    read_interrupts_off(cpu, true)
}

/// All threads that wait: on what, for whom, and since when. Each is as it is when it is come to; threads that come
/// or end meanwhile may be left out, and no other is.
///
/// # Errors
/// Each step: [`Error::MissingRights`] without `STATISTICS`; [`Error::EmptySlot`] without the system.
pub fn waits() -> impl Iterator<Item = Result<Wait, Error>> {
    let mut last = Some((0, 0));
    core::iter::from_fn(move || {
        let (process, thread) = last.take()?;
        let registers = Registers::control([bootstrap().system.bits(), process, thread, 0]);
        match harmless(Syscall::SystemWaits, &registers) {
            Ok(results) => {
                let wait = Wait::decode(&results)?;
                last = Some((wait.process, wait.thread));
                Some(Ok(wait))
            }
            Err(error) => Some(Err(error)),
        }
    })
}

/// The event with the number `position`, from 0 on, of the trace of `cpu`; or the first behind it that was not
/// overwritten. Where the kernel traces all that happens, reading leaves events too: who reads up to the end of its own
/// CPU's trace stops at a time.
///
/// # Errors
/// [`Error::WouldBlock`] where there is none yet; [`Error::InvalidArgument`] without such a CPU; as [`statistic`].
pub fn trace(cpu: usize, position: u64) -> Result<Traced, Error> {
    let words = [bootstrap().system.bits(), cpu as u64, position, 0];
    let results = harmless(Syscall::SystemTrace, &Registers::control(words))?;
    // A kernel that has kinds that this does not know is another one's.
    Traced::decode(&results).ok_or(Error::UnknownSyscall)
}

fn read_interrupts_off(cpu: usize, reset: bool) -> Result<u64, Error> {
    let words = [bootstrap().system.bits(), cpu as u64, reset.into(), 0];
    Ok(harmless(Syscall::SystemInterruptsOff, &Registers::control(words))?.control[0])
}
