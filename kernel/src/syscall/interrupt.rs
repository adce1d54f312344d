//! Devices' interrupts.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, Registers, Rights,
    arguments::{InterruptBind, InterruptCreate},
};

use super::{Answer, lookup, notification::to_signal, value};
use crate::{
    capability::Capability, ipc::Binding, irq::Interrupt, system::SystemObject, thread::Current,
};

/// What its maker may do with an interrupt: bind and acknowledge it, copy.
const RIGHTS: Rights = Rights::MANAGE.union(Rights::GRANT);

pub(super) fn create(current: &Current, registers: &Registers) -> Answer {
    let InterruptCreate { system, line } = InterruptCreate::decode(registers);
    lookup::<SystemObject>(current, system, Rights::DEVICES)?;
    let interrupt = Interrupt::new(line, &current.process.quota)?;
    let slot = current.process.install(Capability::new(interrupt, RIGHTS))?;
    Ok(value(slot.bits()))
}

pub(super) fn bind(current: &Current, registers: &Registers) -> Answer {
    let InterruptBind { interrupt, notification: slot, bits } = InterruptBind::decode(registers)?;
    let interrupt = lookup::<Interrupt>(current, interrupt, Rights::MANAGE)?;
    interrupt.bind(binding(current, slot, bits)?)?;
    Ok(Registers::default())
}

/// What a source shall signal: `bits` of the notification in `slot`, or nothing where that is null.
pub(super) fn binding(
    current: &Current,
    slot: CapSlot,
    bits: u64,
) -> Result<Option<Binding>, Error> {
    if slot.is_null() {
        return Ok(None);
    }
    let notification = to_signal(current, slot, bits)?;
    let kept = current.process.keep(slot, &current.process.quota)?;
    Ok(Some(Binding { notification, kept, bits }))
}

pub(super) fn acknowledge(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<Interrupt>(current, slot, Rights::MANAGE)?.acknowledge()?;
    Ok(Registers::default())
}
