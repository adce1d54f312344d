//! The one `match` over all system calls.

use orbital_abi::{Error, Registers, Syscall, trace::EventKind};

use super::{
    Answer, capability, census, clock, control, fault, interrupt, ipc, log, memory, notification,
    port, process, system, thread, timer, waits,
};
use crate::{
    arch::SavedRegisters,
    cause,
    sched::{Completion, dispatch, irq_off},
    thread::Current,
    watch,
};

/// Called by the entry code: takes the call `number` of the current thread, whose registers are
/// saved; gives the registers to leave with, its own or another thread's.
#[unsafe(no_mangle)]
extern "C-unwind" fn orbital_syscall(
    registers: *mut SavedRegisters,
    number: u64,
) -> *mut SavedRegisters {
    if watch::is_any() {
        return watched(registers, number);
    }
    // SAFETY: the entry code has stored the current thread's registers there, and asks once.
    handle(unsafe { Current::entered(registers) }, number)
}

/// The same, where somebody watches.
#[cold]
#[inline(never)]
fn watched(registers: *mut SavedRegisters, number: u64) -> *mut SavedRegisters {
    irq_off::begin();
    // SAFETY: as above.
    let current = unsafe { Current::entered(registers) };
    current.trace(EventKind::Syscall, number);
    handle(current, number)
}

/// Takes the call.
#[inline(always)]
fn handle(current: Current, number: u64) -> *mut SavedRegisters {
    // What it leaves to be done later is done as urgently as it runs.
    cause::set(current.priority());
    let Some(syscall) = Syscall::from_number(number) else {
        return run(current, |_, _| Completion::Failed(Error::UnknownSyscall));
    };
    match syscall {
        Syscall::Null => run(current, |_, _| Ok(Registers::default())),
        Syscall::Send => run(current, ipc::send),
        Syscall::Receive => run(current, ipc::receive),
        Syscall::Call => run(current, ipc::call),
        Syscall::Reply => run(current, ipc::reply),
        Syscall::ReplyReceive => run(current, ipc::reply_receive),
        Syscall::ThreadYield => run(current, |_, _| Completion::Yield),
        Syscall::ThreadExit => run(current, |_, registers| thread::exit(registers)),
        Syscall::ThreadCreate => run(current, thread::create),
        Syscall::ThreadStart => run(current, thread::start),
        Syscall::ThreadWait => run(current, thread::wait),
        Syscall::ThreadSuspend => run(current, control::suspend),
        Syscall::ThreadResume => run(current, control::resume),
        Syscall::ThreadKill => run(current, control::kill),
        Syscall::ThreadSetPriority => run(current, control::set_priority),
        Syscall::ThreadSetAffinity => run(current, control::set_affinity),
        Syscall::ThreadSetBudget => run(current, control::set_budget),
        Syscall::ThreadMessagePage => run(current, thread::message_page),
        Syscall::ThreadSetFaultHandler => run(current, fault::set_handler),
        Syscall::ThreadReadRegisters => run(current, fault::read_registers),
        Syscall::ThreadWriteRegisters => run(current, fault::write_registers),
        Syscall::ThreadSleep => run(current, clock::sleep),
        Syscall::ClockRead => run(current, |_, _| clock::read()),
        Syscall::ThreadInspect => run(current, control::inspect),
        Syscall::ProcessCreate => run(current, process::create),
        Syscall::ProcessExit => run(current, process::exit),
        Syscall::ProcessKill => run(current, process::kill),
        Syscall::ProcessWait => run(current, process::wait),
        Syscall::ProcessUsage => run(current, process::usage),
        Syscall::CapabilityCopy => run(current, capability::copy),
        Syscall::CapabilityClose => run(current, capability::close),
        Syscall::CapabilityInspect => run(current, capability::inspect),
        Syscall::CapabilityMove => run(current, capability::relocate),
        Syscall::CapabilityRevoke => run(current, capability::revoke),
        Syscall::ReplyKeep => run(current, |current, _| ipc::keep(current)),
        Syscall::EndpointBind => run(current, ipc::bind),
        Syscall::NotificationBind => run(current, notification::bind),
        Syscall::SystemWaits => run(current, waits::next),
        Syscall::EndpointCreate => run(current, |current, _| ipc::create(current)),
        Syscall::NotificationCreate => run(current, |current, _| notification::create(current)),
        Syscall::NotificationSignal => run(current, notification::signal),
        Syscall::NotificationWait => run(current, notification::wait),
        Syscall::TimerCreate => run(current, timer::create),
        Syscall::TimerSet => run(current, timer::set),
        Syscall::MemoryCreate => run(current, memory::create),
        Syscall::MemoryMap => run(current, memory::map),
        Syscall::MemoryUnmap => run(current, memory::unmap),
        Syscall::MemoryProtect => run(current, memory::protect),
        Syscall::MemoryClone => run(current, memory::clone),
        Syscall::MemoryDevice => run(current, memory::device),
        Syscall::MemoryQuery => run(current, memory::query),
        Syscall::IoPortCreate => run(current, port::create),
        Syscall::IoPortNarrow => run(current, port::narrow),
        Syscall::IoPortRead => run(current, port::read),
        Syscall::IoPortWrite => run(current, port::write),
        Syscall::InterruptCreate => run(current, interrupt::create),
        Syscall::InterruptBind => run(current, interrupt::bind),
        Syscall::InterruptAcknowledge => run(current, interrupt::acknowledge),
        Syscall::SystemLog => run(current, system::log),
        Syscall::SystemShutdown => run(current, system::shutdown),
        Syscall::SystemInterruptsOff => run(current, system::interrupts_off),
        Syscall::SystemStatistics => run(current, system::statistics),
        Syscall::SystemTrace => run(current, system::trace),
        Syscall::SystemLogRead => run(current, log::read),
        Syscall::SystemLogBind => run(current, log::bind),
        Syscall::SystemFramebuffer => run(current, system::framebuffer),
        Syscall::SystemProcesses => run(current, census::processes),
        Syscall::SystemThreads => run(current, census::threads),
        Syscall::SystemCapabilities => run(current, census::capabilities),
    }
}

/// Lets `handler` take the call. A function of its own for each handler, with no larger a stack frame than that
/// needs, and no more loads than it has arguments.
#[inline(never)]
fn run<R: Completes>(
    current: Current,
    handler: impl FnOnce(&Current, &Registers) -> R,
) -> *mut SavedRegisters {
    let registers = current.with_registers(|registers| registers.syscall_registers());
    let completion = handler(&current, &registers).complete(&current);
    dispatch::complete(current, completion)
}

/// What handlers give.
trait Completes {
    fn complete(self, current: &Current) -> Completion;
}

impl Completes for Completion {
    fn complete(self, _: &Current) -> Completion {
        self
    }
}

impl Completes for Answer {
    fn complete(self, current: &Current) -> Completion {
        Completion::of(current, self)
    }
}
