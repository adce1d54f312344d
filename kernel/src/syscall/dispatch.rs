//! The one `match` over all system calls.

use orbital_abi::{Error, Syscall};

use super::{
    capability, clock, control, fault, ipc, memory, notification, process, system, thread, timer,
};
use crate::{
    arch::SavedRegisters,
    ipc::message_at_once,
    sched::{Completion, direct, dispatch, irq_off},
    thread::Current,
};

/// Called by the entry code: takes the call `number` of the current thread, whose registers are
/// saved; gives the registers to leave with, its own or another thread's.
#[unsafe(no_mangle)]
extern "C-unwind" fn orbital_syscall(
    registers: *mut SavedRegisters,
    number: u64,
) -> *mut SavedRegisters {
    irq_off::begin();
    // SAFETY: the entry code has stored the current thread's registers there, and asks once.
    let current = unsafe { Current::entered(registers) };
    let Some(registers) = at_once(&current, number) else {
        return any_call(current, number);
    };
    irq_off::end();
    registers
}

/// The calls that are quick where nothing is out of the ordinary: then they leave nothing for the dispatcher.
#[inline(always)]
fn at_once(current: &Current, number: u64) -> Option<*mut SavedRegisters> {
    const NULL: u64 = Syscall::Null as u64;
    const YIELD: u64 = Syscall::ThreadYield as u64;
    match number {
        NULL => dispatch::go_on_with_nothing(current),
        YIELD => direct::yield_to_equal(current),
        _ => message_at_once(current, number),
    }
}

/// The general way. Apart, so that its stack frame is not made for what is quick.
#[inline(never)]
fn any_call(current: Current, number: u64) -> *mut SavedRegisters {
    let completion = handle(&current, number);
    dispatch::complete(current, completion)
}

fn handle(current: &Current, number: u64) -> Completion {
    let Some(syscall) = Syscall::from_number(number) else {
        return Completion::Done(Err(Error::UnknownSyscall));
    };
    let registers = current.with_registers(|registers| registers.syscall_registers());
    match syscall {
        Syscall::Null => Completion::Done(Ok(Default::default())),
        Syscall::Send => ipc::send(current, &registers),
        Syscall::Receive => ipc::receive(current, &registers),
        Syscall::Call => ipc::call(current, &registers),
        Syscall::Reply => ipc::reply(current, &registers).into(),
        Syscall::ReplyReceive => ipc::reply_receive(current, &registers),
        Syscall::ThreadYield => Completion::Yield,
        Syscall::ThreadExit => thread::exit(&registers),
        Syscall::ThreadCreate => thread::create(current, &registers).into(),
        Syscall::ThreadStart => thread::start(current, &registers).into(),
        Syscall::ThreadWait => thread::wait(current, &registers),
        Syscall::ThreadSuspend => control::suspend(current, &registers),
        Syscall::ThreadResume => control::resume(current, &registers),
        Syscall::ThreadKill => control::kill(current, &registers),
        Syscall::ThreadSetPriority => control::set_priority(current, &registers),
        Syscall::ThreadSetAffinity => control::set_affinity(current, &registers),
        Syscall::ThreadSetBudget => control::set_budget(current, &registers),
        Syscall::ThreadSetFaultHandler => fault::set_handler(current, &registers).into(),
        Syscall::ThreadReadRegisters => fault::read_registers(current, &registers).into(),
        Syscall::ThreadWriteRegisters => fault::write_registers(current, &registers).into(),
        Syscall::ThreadSleep => clock::sleep(current, &registers),
        Syscall::ClockRead => clock::read().into(),
        Syscall::ThreadInspect => control::inspect(current, &registers).into(),
        Syscall::ProcessCreate => process::create(current, &registers).into(),
        Syscall::ProcessExit => process::exit(current, &registers),
        Syscall::ProcessKill => process::kill(current, &registers),
        Syscall::ProcessWait => process::wait(current, &registers),
        Syscall::ProcessUsage => process::usage(current, &registers).into(),
        Syscall::CapabilityCopy => capability::copy(current, &registers).into(),
        Syscall::CapabilityClose => capability::close(current, &registers),
        Syscall::CapabilityInspect => capability::inspect(current, &registers).into(),
        Syscall::EndpointCreate => ipc::create(current).into(),
        Syscall::NotificationCreate => notification::create(current).into(),
        Syscall::NotificationSignal => notification::signal(current, &registers).into(),
        Syscall::NotificationWait => notification::wait(current, &registers),
        Syscall::TimerCreate => timer::create(current, &registers).into(),
        Syscall::TimerSet => timer::set(current, &registers).into(),
        Syscall::MemoryCreate => memory::create(current, &registers),
        Syscall::MemoryMap => memory::map(current, &registers),
        Syscall::MemoryUnmap => memory::unmap(current, &registers),
        Syscall::MemoryProtect => memory::protect(current, &registers),
        Syscall::MemoryClone => memory::clone(current, &registers),
        Syscall::MemoryDevice => memory::device(current, &registers).into(),
        Syscall::MemoryQuery => memory::query(current, &registers).into(),
        Syscall::SystemLog => system::log(current, &registers),
        Syscall::SystemShutdown => system::shutdown(current, &registers).into(),
        Syscall::SystemInterruptsOff => system::interrupts_off(current, &registers).into(),
        Syscall::SystemStatistics => system::statistics(current, &registers).into(),
    }
}
