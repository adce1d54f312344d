//! Interrupts and exceptions, as the machine hands them up: the timer goes to the dispatcher, a device to `irq`, the
//! first use of floating point gives the thread its area, a page fault that the address space can resolve is
//! resolved, and any other fault is told to its thread's handler, or ends the thread where it has none.

use orbital_abi::{ExitReason, Fault, FaultKind, trace::EventKind};

use crate::{
    arch::{self, SavedRegisters, Trap, quick::TURN},
    cause, ipc, irq,
    sched::{Completion, block, cpu_time, dispatch, irq_off},
    thread::{BlockReason, Current, Outcome},
    trace::{self, Who},
    vm::{
        self,
        address_space::{Resolution, Wanted},
    },
};

/// Called by the entry code for everything that is not a system call and came from user mode.
#[unsafe(no_mangle)]
fn orbital_trap(trap: Trap) -> *mut SavedRegisters {
    irq_off::begin();
    if trace::is_detailed() {
        trace_trap(&trap, dispatch::current().who());
    }
    let current = dispatch::current();
    cause::set(current.priority());
    let completion = match trap {
        Trap::Timer => {
            cpu_time::timer_came();
            Completion::Written
        }
        // The dispatcher looks at the queues anyway.
        Trap::Kick => {
            cpu_time::kicked();
            Completion::Written
        }
        Trap::Spurious => {
            trace::note(EventKind::SpuriousInterrupt, current.who(), [0; 3]);
            Completion::Written
        }
        Trap::Device(line) => {
            irq::came(line);
            Completion::Written
        }
        Trap::FpuUnavailable => match current.give_fpu() {
            Ok(()) => Completion::Written,
            // The thread can't go on without, and nobody could handle it yet.
            Err(error) => {
                log::warn!("{}: no memory for floating point: {error}", current.process.name);
                Completion::End(ExitReason::Killed)
            }
        },
        Trap::PageFault(fault) => match page(&current, &fault) {
            Some(completion) => completion,
            None => return unresolved(current, fault),
        },
        Trap::Fault(fault) => return unresolved(current, fault),
    };
    dispatch::complete(current, completion)
}

/// Called by the entry code for interrupts that came while the kernel let them in.
#[unsafe(no_mangle)]
fn orbital_interrupt_in_kernel(trap: Trap) {
    irq_off::begin();
    if trace::is_detailed() {
        trace_trap(&trap, Who::default());
    }
    match trap {
        Trap::Timer => cpu_time::timer_came(),
        Trap::Device(line) => irq::came(line),
        Trap::Spurious => trace::note(EventKind::SpuriousInterrupt, Who::default(), [0; 3]),
        _ => {}
    }
    irq_off::end();
}

/// Tells a trace what has come, while `who` had the CPU. Other faults are told where nobody handles them.
#[cold]
fn trace_trap(trap: &Trap, who: Who) {
    let (kind, arguments) = match *trap {
        Trap::Timer => (EventKind::TimerInterrupt, [0; 3]),
        Trap::Kick => (EventKind::Kick, [0; 3]),
        Trap::Device(line) => (EventKind::DeviceInterrupt, [line.into(), 0, 0]),
        Trap::PageFault(fault) => (EventKind::PageFault, arguments(&fault)),
        Trap::Spurious | Trap::FpuUnavailable | Trap::Fault(_) => return,
    };
    trace::note(kind, who, arguments);
}

/// A fault as arguments of an event.
fn arguments(fault: &Fault) -> [u64; 3] {
    [fault.kind as u64, fault.address, fault.instruction_pointer]
}

/// A page fault: what the address space can resolve is resolved, and the thread tries again.
fn page(current: &Current, fault: &Fault) -> Option<Completion> {
    let wanted = match fault.kind {
        FaultKind::PageWrite => Wanted::Write,
        FaultKind::PageExecute => Wanted::Execute,
        _ => Wanted::Read,
    };
    let cpu = arch::cpu_index();
    Some(match current.process.space.touch(fault.address, wanted, cpu) {
        Resolution::Mapped => Completion::Resumed,
        Resolution::Refused => return None,
        Resolution::Unsettled(object) => block(current, BlockReason::Working, async move {
            object.settle().await;
            Outcome::Written
        }),
        Resolution::Shared(object, page) => block(current, BlockReason::Working, async move {
            vm::copy_page(object, page).await;
            Outcome::Written
        }),
        Resolution::NoMemory => {
            log::error!("{}: no frame for a page that is paid for", current.process.name);
            Completion::End(ExitReason::Killed)
        }
    })
}

/// A fault that the kernel does not resolve: the thread's handler decides, and without one it ends the thread.
fn unresolved(current: Current, fault: Fault) -> *mut SavedRegisters {
    if let Some(quick) = ipc::fault_at_once(&current, &fault) {
        let must_turn = quick.way & TURN != 0;
        let registers = if must_turn { dispatch::next() } else { quick.registers };
        irq_off::end();
        return registers;
    }
    let completion = ipc::fault::handle(&current, fault);
    let completion = completion.unwrap_or_else(|fault| unhandled(&current, fault));
    dispatch::complete(current, completion)
}

fn unhandled(current: &Current, fault: Fault) -> Completion {
    trace::note(EventKind::Fault, current.who(), arguments(&fault));
    let reason = ExitReason::Faulted(fault);
    log::warn!("{}: thread {} {reason}", current.process.name, current.id);
    Completion::End(reason)
}
