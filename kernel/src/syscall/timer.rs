//! Timers.
#![forbid(unsafe_code)]

use orbital_abi::{
    Registers, Rights,
    arguments::{TimerCreate, TimerSet},
};

use super::{Answer, lookup, notification::to_signal, value};
use crate::{capability::Capability, ipc::Timer, thread::Current};

/// What its maker may do with a timer: set it, copy.
const RIGHTS: Rights = Rights::MANAGE.union(Rights::GRANT);

pub(super) fn create(current: &Current, registers: &Registers) -> Answer {
    let TimerCreate { notification, bits } = TimerCreate::decode(registers)?;
    let quota = &current.process.quota;
    let object = to_signal(current, notification, bits)?;
    let kept = current.process.keep(notification, quota)?;
    let timer = Timer::new((object, kept), bits, quota)?;
    let slot = current.process.install(Capability::new(timer, RIGHTS))?;
    Ok(value(slot.bits()))
}

pub(super) fn set(current: &Current, registers: &Registers) -> Answer {
    let TimerSet { timer, deadline, period } = TimerSet::decode(registers)?;
    let before = lookup::<Timer>(current, timer, Rights::MANAGE)?.set(deadline, period)?;
    Ok(value(before))
}
