//! The system: power, counters, all that runs, the log as it is read. How it is written stands in [`print`](mod@crate::print).
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, Registers, Syscall,
    arguments::SystemLogBind,
    census::{Capability, Process, Thread},
    framebuffer::Framebuffer,
    log::{FIRST_WORD, LINE_BYTES, LineHead},
    statistics::Statistic,
    trace::Traced,
    waits::Wait,
};

use crate::{
    message_page::MessagePage, notification::Notification, start::bootstrap, syscall::harmless,
};

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

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its number, its time, who has written it, and how grave it is.
    pub head: LineHead,
    bytes: [u8; LINE_BYTES],
}

impl LogLine {
    fn text_of(&self, part: core::ops::Range<usize>) -> &str {
        // It left the kernel as UTF-8, but other threads may write the page that it came by.
        self.bytes.get(part).and_then(|part| str::from_utf8(part).ok()).unwrap_or("")
    }

    /// Which part of the kernel has written it, or which program: `user.NAME`.
    pub fn module(&self) -> &str {
        self.text_of(0..self.head.module_bytes.into())
    }

    /// What it says.
    pub fn text(&self) -> &str {
        let start = usize::from(self.head.module_bytes);
        self.text_of(start..start + usize::from(self.head.text_bytes))
    }
}

/// The line of the log with the number `position`, from 0 on, or the first behind it that was not overwritten. It comes
/// through the calling thread's message page, which it gets if it has none: what stood there is lost.
///
/// # Errors
/// [`Error::WouldBlock`] where there is none yet; [`Error::MissingRights`] without `LOG_READ`; [`Error::EmptySlot`]
/// without the system; [`Error::QuotaExceeded`].
pub fn log_line(position: u64) -> Result<LogLine, Error> {
    let page = MessagePage::of_thread()?;
    let registers = Registers::control([bootstrap().system.bits(), position, 0, 0]);
    let results = harmless(Syscall::SystemLogRead, &registers)?;
    // A kernel that has levels that this does not know is another one's.
    let head = LineHead::decode(&results).ok_or(Error::UnknownSyscall)?;
    let mut bytes = [0; LINE_BYTES];
    let words = page.entries()[FIRST_WORD..].iter();
    for (place, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *place = word.get().to_le_bytes();
    }
    Ok(LogLine { head, bytes })
}

/// From here on each new line of the log signals `bits` of `notification`, in place of whatever it did before. Lines
/// that come close together may be one signal: so who is woken reads up to the end.
///
/// # Errors
/// [`Error::MissingRights`] without `LOG_READ`, or where the notification's capability does not allow to signal these
/// bits; [`Error::InvalidArgument`] without a bit; [`Error::NotificationGone`]; [`Error::Revoked`];
/// [`Error::QuotaExceeded`]; those of the slots.
pub fn bind_log(notification: &Notification, bits: u64) -> Result<(), Error> {
    bind_log_to(notification.slot(), bits)
}

/// From here on new lines of the log signal nobody.
///
/// # Errors
/// [`Error::MissingRights`] without `LOG_READ`; [`Error::EmptySlot`] without the system.
pub fn unbind_log() -> Result<(), Error> {
    bind_log_to(CapSlot::NULL, 0)
}

fn bind_log_to(notification: CapSlot, bits: u64) -> Result<(), Error> {
    let arguments = SystemLogBind { system: bootstrap().system, notification, bits };
    harmless(Syscall::SystemLogBind, &arguments.encode()).map(|_| ())
}

/// The framebuffer that the loader has set up. It is mapped as [device memory](crate::MemoryObject::device).
///
/// # Errors
/// [`Error::InvalidAddress`] where there is none; [`Error::MissingRights`] without `DEVICES`; [`Error::EmptySlot`]
/// without the system.
pub fn framebuffer() -> Result<Framebuffer, Error> {
    let registers = Registers::control([bootstrap().system.bits(), 0, 0, 0]);
    let results = harmless(Syscall::SystemFramebuffer, &registers)?;
    // The kernel knows no other.
    Framebuffer::decode(&results).ok_or(Error::InvalidAddress)
}
