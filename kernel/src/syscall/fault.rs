//! Fault handlers, and what they do to the thread that waits for them.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error, Registers, Rights, fault::RegisterBank};

use super::{Answer, lookup};
use crate::{
    ipc::Endpoint,
    object::Ref,
    thread::{Claim, Current, FaultHandler, Tcb},
};

pub(super) fn set_handler(current: &Current, registers: &Registers) -> Answer {
    let [thread, endpoint, ..] = registers.control.map(CapSlot::from_bits);
    let thread: Ref<Tcb> = lookup(current, thread, Rights::MANAGE)?;
    let handler = if endpoint.is_null() {
        None
    } else {
        let capability = current.process.capability(endpoint)?;
        let badge = capability.badge;
        let object: Ref<Endpoint> = capability.object(Rights::SEND)?;
        let kept = current.process.keep(endpoint, &thread.process.quota)?;
        Some(FaultHandler { endpoint: object.erase(), badge, kept })
    };
    thread.set_fault_handler(handler)?;
    Ok(Registers::default())
}

/// The thread that is named, claimed as long as its registers are looked at.
fn stopped(current: &Current, registers: &Registers) -> Result<(Claim, RegisterBank), Error> {
    let [thread, bank, ..] = registers.control;
    let thread: Ref<Tcb> = lookup(current, CapSlot::from_bits(thread), Rights::MANAGE)?;
    let bank = RegisterBank::from_number(bank)?;
    if thread.is_ended() {
        return Err(Error::Ended);
    }
    Ok((thread.claim_fault().ok_or(Error::NotStopped)?, bank))
}

pub(super) fn read_registers(current: &Current, registers: &Registers) -> Answer {
    let (claim, bank) = stopped(current, registers)?;
    let [first, second, rest @ ..] = claim.with_registers(|registers| registers.bank(bank));
    claim.taken();
    Ok(Registers { control: [0, 0, first, second], words: rest })
}

pub(super) fn write_registers(current: &Current, registers: &Registers) -> Answer {
    let (claim, bank) = stopped(current, registers)?;
    let [_, _, first, second] = registers.control;
    let [a, b, c, d, e, f, g, h] = registers.words;
    let values = [first, second, a, b, c, d, e, f, g, h];
    let is_done = claim.with_registers(|registers| registers.set_bank(bank, values));
    claim.taken();
    is_done?;
    Ok(Registers::default())
}
