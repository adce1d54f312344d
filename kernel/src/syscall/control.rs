//! Threads that others stop, end, or move.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error, Registers, Rights};

use super::{Answer, lookup};
use crate::{
    arch::{self, clock},
    object::Ref,
    sched::{self, Completion, block},
    thread::{
        BlockReason, Current, Outcome, Tcb,
        budget::{Budget, Share},
        control::Ticket,
    },
};

fn thread(current: &Current, registers: &Registers, needed: Rights) -> Result<Ref<Tcb>, Error> {
    lookup(current, CapSlot::from_bits(registers.control[0]), needed)
}

/// Does `wish` to the thread in control word 0, which has not ended, and waits until it holds. A
/// thread's wish for itself holds before it runs again.
fn ask(
    current: &Current,
    registers: &Registers,
    wish: impl FnOnce(&Tcb) -> Result<Ticket, Error>,
) -> Completion {
    let asked = thread(current, registers, Rights::MANAGE).and_then(|thread| {
        if thread.is_ended() {
            return Err(Error::Ended);
        }
        let ticket = wish(&thread)?;
        Ok((thread, ticket))
    });
    match asked {
        Ok((thread, _)) if thread.is(current) => {
            // The CPU that it has just come from may still serve an earlier wish: then nobody else says it.
            sched::leave_for_dispatcher();
            Completion::done(current)
        }
        Ok((thread, ticket)) => block(current, BlockReason::Asking(thread.id), async move {
            thread.fulfilled(ticket).await;
            Outcome::Answer(Ok(Registers::default()))
        }),
        Err(error) => Completion::Failed(error),
    }
}

pub(super) fn suspend(current: &Current, registers: &Registers) -> Completion {
    ask(current, registers, |thread| Ok(thread.suspend()))
}

pub(super) fn resume(current: &Current, registers: &Registers) -> Completion {
    ask(current, registers, |thread| Ok(thread.resume()))
}

pub(super) fn kill(current: &Current, registers: &Registers) -> Completion {
    ask(current, registers, |thread| Ok(thread.kill()))
}

pub(super) fn set_priority(current: &Current, registers: &Registers) -> Completion {
    let ceiling = current.ceiling();
    ask(current, registers, |thread| {
        let priority = u8::try_from(registers.control[1]).map_err(|_| Error::InvalidArgument)?;
        if priority > ceiling.min(thread.ceiling()) {
            return Err(Error::PriorityTooHigh);
        }
        Ok(thread.ask_priority(priority))
    })
}

pub(super) fn set_affinity(current: &Current, registers: &Registers) -> Completion {
    ask(current, registers, |thread| {
        let cpus = registers.control[1];
        let online = u64::MAX >> (u64::BITS as usize - arch::cpu_count());
        if cpus & online == 0 {
            return Err(Error::InvalidArgument);
        }
        Ok(thread.ask_affinity(cpus))
    })
}

/// Budget and period, in nanoseconds; both 0 for no limit. Paid by the thread's process.
pub(super) fn set_budget(current: &Current, registers: &Registers) -> Completion {
    ask(current, registers, |thread| {
        let wanted = match (registers.control[1], registers.control[2]) {
            (0, 0) => None,
            (budget, period) => {
                let share = Share::new(budget, period)?;
                Some(Budget::new(share, clock::nanoseconds(), &thread.process.quota)?)
            }
        };
        Ok(thread.ask_budget(wanted))
    })
}

/// State, priority, CPU, affinity.
pub(super) fn inspect(current: &Current, registers: &Registers) -> Answer {
    let thread = thread(current, registers, Rights::empty())?;
    let (state, priority) = (thread.state() as u64, thread.priority().into());
    Ok(Registers::control([state, priority, thread.home() as u64, thread.affinity()]))
}
