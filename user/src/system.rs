//! The system: power, counters, all that runs. The log stands in [`print`](mod@crate::print).
#![forbid(unsafe_code)]

use orbital_abi::{
    Error, Registers, Syscall,
    census::{Capability, Process, Thread},
    statistics::Statistic,
    trace::Traced,
    waits::Wait,
};

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
    statistic_of(statistic, 0)
}

fn statistic_of(statistic: Statistic, cpu: usize) -> Result<u64, Error> {
    let words = [bootstrap().system.bits(), statistic as u64, cpu as u64, 0];
    Ok(harmless(Syscall::SystemStatistics, &Registers::control(words))?.control[0])
}

/// For how long `cpu` has had nothing to do since boot, in nanoseconds.
///
/// # Errors
/// [`Error::InvalidArgument`] without such a CPU; as [`statistic`].
pub fn idle_time(cpu: usize) -> Result<u64, Error> {
    statistic_of(Statistic::IdleTime, cpu)
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
    let decode = |results: &Registers| {
        let wait = Wait::decode(results)?;
        Some((wait, (wait.process, wait.thread)))
    };
    one_by_one(Syscall::SystemWaits, (0, 0), decode)
}

/// All processes that have not ended, in the order of their numbers. Each is as it is when it is come to; those that
/// come or end meanwhile may be left out, and no other is.
///
/// # Errors
/// As [`waits`].
pub fn processes() -> impl Iterator<Item = Result<Process, Error>> {
    let decode = |results: &Registers| {
        let process = Process::decode(results)?;
        Some((process, (process.id, 0)))
    };
    one_by_one(Syscall::SystemProcesses, (0, 0), decode)
}

/// All threads of all processes, in the order of their processes' numbers; as [`processes`].
///
/// # Errors
/// As [`waits`].
pub fn threads() -> impl Iterator<Item = Result<Thread, Error>> {
    let decode = |results: &Registers| {
        let thread = Thread::decode(results)?;
        Some((thread, (thread.process, thread.id)))
    };
    one_by_one(Syscall::SystemThreads, (0, 0), decode)
}

/// All capabilities in the table of the process with this number, in the order of their slots; none where there is no
/// such process. Else as [`processes`].
///
/// # Errors
/// As [`waits`].
pub fn capabilities(process: u64) -> impl Iterator<Item = Result<Capability, Error>> {
    let decode = move |results: &Registers| {
        let capability = Capability::decode(results)?;
        Some((capability, (process, u64::from(capability.slot.index()) + 1)))
    };
    one_by_one(Syscall::SystemCapabilities, (process, 0), decode)
}

/// What a call tells, one after the other: what it has told last is its argument, and so is `first`.
fn one_by_one<T>(
    syscall: Syscall,
    first: (u64, u64),
    decode: impl Fn(&Registers) -> Option<(T, (u64, u64))>,
) -> impl Iterator<Item = Result<T, Error>> {
    let mut next = Some(first);
    core::iter::from_fn(move || {
        let (first, second) = next.take()?;
        let registers = Registers::control([bootstrap().system.bits(), first, second, 0]);
        match harmless(syscall, &registers) {
            Ok(results) => {
                let (told, last) = decode(&results)?;
                next = Some(last);
                Some(Ok(told))
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
