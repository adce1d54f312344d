//! The end of a kernel that has found itself wrong: says where, on behalf of whom, and how it got
//! there; then the machine ends.
#![forbid(unsafe_code)]

use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use crate::{
    arch::{backtrace, cpu_index, power, serial},
    kprintln, sched, symbols, syscall,
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
    match sched::dispatch::describe_current() {
        Some(thread) => {
            kprintln!("  thread: {} of process {}", thread.id, thread.process.name);
        }
        None => kprintln!("  thread: none"),
    }
    match syscall::name_of_current() {
        Some(syscall) => kprintln!("  syscall: {syscall:?}"),
        None => kprintln!("  syscall: none"),
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
