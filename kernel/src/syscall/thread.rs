//! Threads.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Registers, Rights, arguments::ThreadCreate,
};

use super::{Answer, ended, lookup, memory, value};
use crate::{
    arch::SavedRegisters,
    capability::Capability,
    object::Ref,
    process::Process,
    sched::{Completion, block, clock::timeout_at},
    thread::{BlockReason, Current, Outcome, Tcb},
};

/// What its maker may do with a thread.
const RIGHTS: Rights = Rights::MANAGE.union(Rights::WAIT).union(Rights::GRANT);

pub(super) fn exit(registers: &Registers) -> Completion {
    Completion::End(ExitReason::Exited(registers.control[0]))
}

pub(super) fn create(current: &Current, registers: &Registers) -> Answer {
    let arguments = ThreadCreate::decode(registers)?;
    if arguments.priority > current.ceiling() {
        return Err(Error::PriorityTooHigh);
    }
    let process: Ref<Process> = lookup(current, arguments.process, Rights::MANAGE)?;
    let registers = SavedRegisters::new(arguments.entry, arguments.stack, arguments.argument)?;
    let thread = Tcb::new(&process, registers, arguments.priority, current.affinity())?;
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
    let deadline = Deadline::from_bits(registers.control[1]);
    let slot = CapSlot::from_bits(registers.control[0]);
    let thread = match lookup::<Tcb>(current, slot, Rights::WAIT) {
        Ok(thread) => thread,
        Err(error) => return Completion::Failed(error),
    };
    if let Some(reason) = thread.exit_reason() {
        return Completion::answered(current, &Registers::control(reason.encode()));
    }
    if deadline == Deadline::Now {
        return Completion::Failed(Error::WouldBlock);
    }
    let own = current.process.clone();
    block(current, BlockReason::WaitingThread(thread.id), async move {
        let is_over = || thread.exit_reason().is_some() || !own.still_has(slot);
        let waited = timeout_at(deadline.bits(), thread.wait_until(is_over)).await;
        Outcome::Answer(ended(waited, thread.exit_reason()))
    })
}

pub(super) fn message_page(current: &Current, registers: &Registers) -> Completion {
    let [slot, address, ..] = registers.control;
    let slot = CapSlot::from_bits(slot);
    let own = slot.is_null().then(|| current.to_ref());
    let process = current.process.clone();
    // By a capability that is there when memory has come back.
    let give = move || {
        let thread = match &own {
            Some(own) => own.clone(),
            None => process.capability(slot)?.object(Rights::MANAGE)?,
        };
        thread.give_message_page(address).map(value)
    };
    match give() {
        Ok(answer) => Completion::answered(current, &answer),
        Err(error) => memory::again(current, error, give),
    }
}
