//! Capabilities.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, ExitReason, Registers, arguments::CapabilityCopy};

use super::{Answer, done, process_or_own, value};
use crate::{sched::Completion, thread::Current};

#[inline(always)]
pub(super) fn copy(current: &Current, registers: &Registers) -> Answer {
    let arguments = CapabilityCopy::decode(registers)?;
    let source = current.process.capability(arguments.source)?;
    let process = process_or_own(current, arguments.process)?;
    let copy = source.derive(arguments.rights, arguments.badge)?;
    Ok(value(process.install(copy)?.bits()))
}

/// Who ends its own process by closing the last capability to it does not come back.
#[inline(always)]
pub(super) fn close(current: &Current, registers: &Registers) -> Completion {
    match current.process.close(CapSlot::from_bits(registers.control[0])) {
        Ok(()) if current.process.is_ending() => Completion::End(ExitReason::Killed),
        Ok(()) => done(current),
        Err(error) => Completion::Done(Err(error)),
    }
}

/// Kind, rights, badge.
pub(super) fn inspect(current: &Current, registers: &Registers) -> Answer {
    let capability = current.process.capability(CapSlot::from_bits(registers.control[0]))?;
    let kind = capability.object.header().kind().map_or(0, |kind| kind as u64);
    Ok(Registers::control([kind, capability.rights.bits().into(), capability.badge, 0]))
}
