//! Devices' interrupts.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Registers, Rights,
    arguments::{InterruptBind, InterruptCreate},
};

use super::{Answer, lookup, notification::to_signal, value};
use crate::{
    capability::Capability,
    irq::{Binding, Interrupt},
    system::SystemObject,
    thread::Current,
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
    let binding = match slot.is_null() {
        true => None,
        false => {
            let notification = to_signal(current, slot, bits)?;
            let kept = current.process.keep(slot, &current.process.quota)?;
            Some(Binding { notification, kept, bits })
        }
    };
    interrupt.bind(binding)?;
    Ok(Registers::default())
}

pub(super) fn acknowledge(current: &Current, registers: &Registers) -> Answer {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<Interrupt>(current, slot, Rights::MANAGE)?.acknowledge()?;
    Ok(Registers::default())
}
