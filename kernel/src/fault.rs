//! Interrupts and exceptions, as the machine hands them up: the timer goes to the dispatcher, the
//! first use of floating point gives the thread its area, and a fault ends its thread.

use orbital_abi::{ExitReason, Fault};

use crate::{
    arch::{SavedRegisters, Trap},
    sched::{Completion, dispatch, irq_off},
    thread::Current,
};

/// Called by the entry code for everything that is not a system call and came from user mode.
#[unsafe(no_mangle)]
fn orbital_trap(trap: Trap) -> *mut SavedRegisters {
    irq_off::begin();
    let current = dispatch::current();
    let completion = match trap {
        Trap::Timer => {
            dispatch::timer_came();
            Completion::Written
        }
        // The dispatcher looks at the queues anyway.
        Trap::Kick | Trap::Spurious => Completion::Written,
        Trap::FpuUnavailable => match current.give_fpu() {
            Ok(()) => Completion::Written,
            // The thread can't go on without, and nobody could handle it yet.
            Err(error) => {
                log::warn!("{}: no memory for floating point: {error}", current.process.name);
                Completion::End(ExitReason::Killed)
            }
        },
        Trap::Fault(fault) => unhandled(&current, fault),
    };
    dispatch::complete(current, completion)
}

/// Called by the entry code for interrupts that came while the kernel let them in.
#[unsafe(no_mangle)]
fn orbital_interrupt_in_kernel(trap: Trap) {
    irq_off::begin();
    if trap == Trap::Timer {
        dispatch::timer_came();
    }
    irq_off::end();
}

fn unhandled(current: &Current, fault: Fault) -> Completion {
    let reason = ExitReason::Faulted(fault);
    log::warn!("{}: thread {} {reason}", current.process.name, current.id);
    Completion::End(reason)
}
