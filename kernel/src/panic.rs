//! The end of a kernel that has found itself wrong: says where, on behalf of whom, and how it got
//! there; then the machine ends.
#![forbid(unsafe_code)]

use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use orbital_abi::Syscall;

use crate::{
    arch::{backtrace, cpu_index, power, serial},
    kprintln, sched, symbols,
};

static PANICKED: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    serial::break_lock();
    if PANICKED.swap(true, Relaxed) {
        kprintln!("panicked again: {info}");
        power::off(power::VERDICT_PANIC);
    }
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
    power::off(power::VERDICT_PANIC)
}
