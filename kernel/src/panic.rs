//! The end of a kernel that has found itself wrong: says where, on behalf of whom, and how it got
//! there; then the machine ends.
#![forbid(unsafe_code)]

use core::{
    panic::PanicInfo,
    sync::atomic::{
        AtomicUsize,
        Ordering::{AcqRel, Acquire},
    },
};

use orbital_abi::Syscall;

use crate::{
    arch::{backtrace, cpu_index, idle, power, serial, stop_others},
    kprintln, sched, symbols,
    trace::dump::Dump,
};

/// The CPU that has panicked.
static PANICKED: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match PANICKED.compare_exchange(NOBODY, cpu_index(), AcqRel, Acquire) {
        Ok(_) => stop_others(),
        // Not for itself: its own report has gone wrong.
        Err(first) if first == cpu_index() => {
            serial::take_back();
            kprintln!("panicked again: {info}");
            power::off(power::VERDICT_PANIC);
        }
        // Another CPU was first, and stops this one.
        Err(_) => idle::stop(),
    }
    serial::take_back();
    kprintln!("cpu{} {info}", cpu_index());
    let (thread, number) = match sched::dispatch::describe_current() {
        Some((thread, number)) => (Some(thread), number),
        None => (None, None),
    };
    match thread {
        Some(thread) => kprintln!("  thread: {} of process {}", thread.id, thread.process.name),
        None => kprintln!("  thread: none"),
    }
    match (number.and_then(Syscall::from_number), number) {
        (Some(syscall), _) => kprintln!("  syscall: {syscall:?}"),
        (None, Some(number)) => kprintln!("  syscall: {number}, which does not exist"),
        (None, None) => kprintln!("  syscall: none"),
    }
    kprintln!("  backtrace:");
    backtrace::callers(|address| {
        // The call stands before the address that it returns to.
        match symbols::lookup(address - 1) {
            Some((name, offset)) => kprintln!("    {address:#018x} {name}+{offset:#x}"),
            None => kprintln!("    {address:#018x}"),
        }
    });
    // Without names, which are under locks.
    if let Some(dump) = Dump::begin() {
        dump.rings();
    }
    power::off(power::VERDICT_PANIC)
}
