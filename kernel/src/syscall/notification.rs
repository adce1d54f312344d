//! Notifications.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, Registers, Rights,
    arguments::{NotificationSignal, NotificationWait},
};

use super::{
    Answer,
    ipc::{bound_to, keep_binding},
    lookup, value,
};
use crate::{
    capability::Capability,
    ipc::{Notification, binding},
    object::Ref,
    sched::Completion,
    thread::Current,
};

/// What its maker may do with a notification: signal, wait, copy.
const RIGHTS: Rights = Rights::SEND.union(Rights::RECEIVE).union(Rights::GRANT);

/// The notification in `slot`, if its capability allows to signal all of `bits`: a badge is a mask.
pub(super) fn to_signal(
    current: &Current,
    slot: CapSlot,
    bits: u64,
) -> Result<Ref<Notification>, Error> {
    let capability = current.process.capability(slot)?;
    let badge = capability.badge;
    let notification = capability.object(Rights::SEND)?;
    if badge != 0 && bits & !badge != 0 {
        return Err(Error::MissingRights);
    }
    Ok(notification)
}

pub(super) fn create(current: &Current) -> Answer {
    let notification = Notification::new(&current.process.quota)?;
    let slot = current.process.install(Capability::new(notification, RIGHTS))?;
    Ok(value(slot.bits()))
}

pub(super) fn signal(current: &Current, registers: &Registers) -> Answer {
    let NotificationSignal { notification, bits } = NotificationSignal::decode(registers)?;
    to_signal(current, notification, bits)?.signal(bits)?;
    Ok(Registers::default())
}

pub(super) fn bind(current: &Current, registers: &Registers) -> Answer {
    let notification = CapSlot::from_bits(registers.control[0]);
    let notification = lookup(current, notification, Rights::RECEIVE)?;
    let thread = bound_to(current, registers)?;
    let kept = keep_binding(current, registers, thread.as_ref())?;
    binding::bind_notification(&notification, thread.as_ref(), kept)?;
    Ok(Registers::default())
}

pub(super) fn wait(current: &Current, registers: &Registers) -> Completion {
    let NotificationWait { notification, deadline } = NotificationWait::decode(registers);
    Notification::wait(current, notification, deadline)
}
