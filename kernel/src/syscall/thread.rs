//! Threads.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Registers, Rights, arguments::ThreadCreate,
};

use super::{Answer, lookup, value};
use crate::{
    arch::SavedRegisters,
    capability::Capability,
    object::Ref,
    process::Process,
    sched::{Completion, block},
    thread::{BlockReason, Current, Outcome, Tcb},
};

/// What its maker may do with a thread.
const RIGHTS: Rights = Rights::MANAGE.union(Rights::WAIT).union(Rights::GRANT);

pub(super) fn exit(registers: &Registers) -> Completion {
    Completion::End(ExitReason::Exited(registers.control[0]))
}

pub(super) fn create(current: &Current, registers: &Registers) -> Answer {
    let arguments = ThreadCreate::decode(registers)?;
    // A thread's ceiling is its own priority until priorities can be changed.
    if arguments.priority > current.priority {
        return Err(Error::PriorityTooHigh);
    }
    let process: Ref<Process> = lookup(current, arguments.process, Rights::MANAGE)?;
    let registers = SavedRegisters::new(arguments.entry, arguments.stack, arguments.argument)?;
    let thread = Tcb::new(&process, registers, arguments.priority)?;
    match current.process.install(Capability::new(thread.clone(), RIGHTS)) {
        Ok(slot) => Ok(value(slot.bits())),
        Err(error) => {
            // Nobody can start it. Its end, were it the first thread, would be the process's.
            process.take_back_thread(&*thread);
            Err(error)
        }
    }
}

pub(super) fn start(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<Tcb>(current, slot, Rights::MANAGE)?.start()?;
    Ok(Registers::default())
}

pub(super) fn wait(current: &Current, registers: &Registers) -> Completion {
    let decoded = Deadline::from_bits(registers.control[1]).and_then(|deadline| {
        let slot = CapSlot::from_bits(registers.control[0]);
        Ok((deadline, lookup::<Tcb>(current, slot, Rights::WAIT)?))
    });
    let (deadline, thread) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return Completion::Done(Err(error)),
    };
    if let Some(reason) = thread.exit_reason() {
        return Completion::Done(Ok(Registers::control(reason.encode())));
    }
    if deadline == Deadline::Now {
        return Completion::Done(Err(Error::WouldBlock));
    }
    block(current, BlockReason::WaitingThread(thread.id), async move {
        let reason = thread.wait_for_exit().await;
        Outcome::Answer(Ok(Registers::control(reason.encode())))
    })
}
