//! Processes.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Error, ExitReason, Registers, Rights, arguments::ProcessCreate,
};

use super::{Answer, ended, lookup, value};
use crate::{
    capability::Capability,
    process::{Name, Process},
    sched::{Completion, block, clock::timeout_at},
    thread::{BlockReason, Current, Outcome},
};

/// What its maker may do with a process.
const RIGHTS: Rights = Rights::MANAGE.union(Rights::WAIT).union(Rights::GRANT);

pub(super) fn create(current: &Current, registers: &Registers) -> Answer {
    let arguments = ProcessCreate::decode(registers)?;
    let name = Name::from(arguments.text()?).map_err(|_| Error::InvalidArgument)?;
    let process = Process::new(&current.process, name, arguments.frames, arguments.kernel_bytes)?;
    match current.process.install(Capability::new(process.clone(), RIGHTS)) {
        Ok(slot) => Ok(value(slot.bits())),
        Err(error) => {
            process.end(ExitReason::Killed);
            Err(error)
        }
    }
}

/// The calling thread ends with its process, which does the rest.
pub(super) fn exit(current: &Current, registers: &Registers) -> Completion {
    let reason = ExitReason::Exited(registers.control[0]);
    current.process.end(reason);
    Completion::End(reason)
}

/// Who ends its own process does not come back.
pub(super) fn kill(current: &Current, registers: &Registers) -> Completion {
    let slot = CapSlot::from_bits(registers.control[0]);
    match lookup::<Process>(current, slot, Rights::MANAGE) {
        Ok(process) if !process.end(ExitReason::Killed) => Completion::Failed(Error::Ended),
        Ok(process) if process.is(&current.process) => Completion::End(ExitReason::Killed),
        Ok(_) => Completion::done(current),
        Err(error) => Completion::Failed(error),
    }
}

pub(super) fn wait(current: &Current, registers: &Registers) -> Completion {
    let deadline = Deadline::from_bits(registers.control[1]);
    let slot = CapSlot::from_bits(registers.control[0]);
    let process = match lookup::<Process>(current, slot, Rights::WAIT) {
        Ok(process) => process,
        Err(error) => return Completion::Failed(error),
    };
    if let Some(reason) = process.exit_reason() {
        return Completion::answered(current, &Registers::control(reason.encode()));
    }
    if deadline == Deadline::Now {
        return Completion::Failed(Error::WouldBlock);
    }
    process.hurry(current.priority());
    let own = current.process.clone();
    block(current, BlockReason::WaitingProcess(process.id), async move {
        let is_over = || process.exit_reason().is_some() || !own.still_has(slot);
        let waited = timeout_at(deadline.bits(), process.wait_until(is_over)).await;
        Outcome::Answer(ended(waited, process.exit_reason()))
    })
}

/// Limit and use of frames, limit and use of kernel memory in bytes: the process's in control word 0, or
/// one's own.
pub(super) fn usage(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    let usage = match slot.is_null() {
        true => current.process.quota.usage(),
        false => lookup::<Process>(current, slot, Rights::WAIT)?.quota.usage(),
    };
    Ok(Registers::control([
        usage.frames_limit,
        usage.frames_used,
        usage.kernel_bytes_limit,
        usage.kernel_bytes_used,
    ]))
}
