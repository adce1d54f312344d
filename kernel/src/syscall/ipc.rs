//! Message operations.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Deadline, Error, IpcError, Message, Registers, Rights, Tag};

use super::{Answer, lookup, value};
use crate::{
    capability::{Capability, Kept, passing},
    ipc::{
        Endpoint, binding, receive,
        reply::{self, Expects},
        transfer,
    },
    object::{Paid, Ref},
    sched::{Completion, leave_slice_to},
    thread::{Current, Tcb},
};

/// The endpoint's handle, in control word 0.
fn endpoint(registers: &Registers) -> CapSlot {
    CapSlot::from_bits(registers.control[0])
}

/// The tag in control word 1.
#[inline(always)]
fn tag(registers: &Registers) -> Result<Tag, IpcError> {
    Tag::from_bits(registers.control[1])
}

/// The message in control words 1 and 3, the message words, and perhaps the thread's page.
#[inline(always)]
fn message(current: &Current, registers: &Registers) -> Result<Message, IpcError> {
    let tag = tag(registers)?;
    if tag.needs_page() && !current.has_message_page() {
        return Err(IpcError::InvalidMessage);
    }
    Ok(transfer::message(tag, registers))
}

/// The same, of a thread that waits for nothing that could bring capabilities.
#[inline(always)]
fn message_alone(current: &Current, registers: &Registers) -> Result<Message, IpcError> {
    if tag(registers)?.accepted() > 0 {
        return Err(IpcError::InvalidMessage);
    }
    message(current, registers)
}

/// Whether the capabilities of the message can be passed on. They are looked at again when they go: a sender is told of
/// mistakes before it waits.
fn check(current: &Current, tag: Tag, registers: &Registers) -> Result<(), Error> {
    if tag.capabilities() == 0 {
        return Ok(());
    }
    let sent = transfer::sent(tag, registers.control[3], current.message_page());
    passing::check(&current.process.table, &sent)
}

/// Whether the capability in `slot` names an endpoint and has the right.
fn check_endpoint(current: &Current, slot: CapSlot, needed: Rights) -> Result<(), Error> {
    let found = current
        .process
        .with_capability(slot, |capability| capability.get::<Endpoint>(needed).map(|_| ()));
    found?
}

fn deadline(registers: &Registers) -> Deadline {
    Deadline::from_bits(registers.control[2])
}

fn send_with(current: &Current, registers: &Registers, expects: Expects) -> Completion {
    let decoded = (|| {
        let message = match expects {
            Expects::Nothing => message_alone(current, registers),
            Expects::Reply => message(current, registers),
        }?;
        current.prepare_slots(message.tag.accepted())?;
        if message.tag.capabilities() > 0 {
            check_endpoint(current, endpoint(registers), Rights::SEND)?;
            check(current, message.tag, registers)?;
        }
        Ok::<_, Error>(message)
    })();
    match decoded {
        Ok(message) => {
            Endpoint::send(current, endpoint(registers), &message, expects, deadline(registers))
        }
        Err(error) => Completion::Failed(error),
    }
}

pub(super) fn send(current: &Current, registers: &Registers) -> Completion {
    send_with(current, registers, Expects::Nothing)
}

pub(super) fn call(current: &Current, registers: &Registers) -> Completion {
    send_with(current, registers, Expects::Reply)
}

pub(super) fn receive(current: &Current, registers: &Registers) -> Completion {
    let decoded = (|| {
        let tag = tag(registers)?;
        if tag != tag.accepting() {
            return Err(Error::InvalidMessage);
        }
        current.prepare_slots(tag.accepted())?;
        Ok(tag)
    })();
    match decoded {
        Ok(tag) => receive::receive(current, endpoint(registers), tag, deadline(registers)),
        Err(error) => Completion::Failed(error),
    }
}

pub(super) fn reply(current: &Current, registers: &Registers) -> Answer {
    let message = message_alone(current, registers)?;
    reply::reply(current, CapSlot::from_bits(registers.control[0]), &message)?;
    Ok(Registers::default())
}

pub(super) fn keep(current: &Current) -> Answer {
    Ok(value(reply::keep(current)?.bits()))
}

/// A caller that is gone does not keep the server from its next message: the answer to it is
/// dropped. Every other failure changes nothing.
pub(super) fn reply_receive(current: &Current, registers: &Registers) -> Completion {
    let slot = endpoint(registers);
    let decoded = (|| {
        let message = message(current, registers)?;
        current.prepare_slots(message.tag.accepted())?;
        check_endpoint(current, slot, Rights::RECEIVE)?;
        Ok::<_, Error>(message)
    })();
    let message = match decoded {
        Ok(message) => message,
        Err(error) => return Completion::Failed(error),
    };
    // One that brings capabilities has no place for the name of a kept one.
    let kept = match message.tag.capabilities() {
        0 => CapSlot::from_bits(registers.control[3]),
        _ => CapSlot::NULL,
    };
    let receive = || match receive::receive(current, slot, message.tag, deadline(registers)) {
        // It was there before the answer.
        Completion::Failed(Error::StaleCapability) => Completion::Failed(Error::Revoked),
        received => received,
    };
    match reply::reply(current, kept, &message) {
        Ok(caller) => {
            let received = receive();
            if let Completion::Blocked = received {
                leave_slice_to(caller);
            }
            received
        }
        Err(Error::PeerGone) => receive(),
        Err(error) => Completion::Failed(error),
    }
}

/// To whom something is to be bound: the thread in control word 1, or nobody.
pub(super) fn bound_to(
    current: &Current,
    registers: &Registers,
) -> Result<Option<Ref<Tcb>>, Error> {
    let thread = CapSlot::from_bits(registers.control[1]);
    if thread.is_null() {
        return Ok(None);
    }
    lookup(current, thread, Rights::MANAGE).map(Some)
}

/// What a revoke finds of the binding to `thread`, which pays for that, through the capability to what is bound.
pub(super) fn keep_binding(
    current: &Current,
    registers: &Registers,
    thread: Option<&Ref<Tcb>>,
) -> Result<Option<Paid<Kept>>, Error> {
    let slot = CapSlot::from_bits(registers.control[0]);
    let kept = thread.map(|thread| current.process.keep(slot, &thread.process.quota)).transpose();
    kept.map(Option::flatten)
}

pub(super) fn bind(current: &Current, registers: &Registers) -> Answer {
    let endpoint = lookup(current, endpoint(registers), Rights::RECEIVE)?;
    let thread = bound_to(current, registers)?;
    let kept = keep_binding(current, registers, thread.as_ref())?;
    binding::bind_endpoint(&endpoint, thread.as_ref(), kept)?;
    Ok(Registers::default())
}

pub(super) fn create(current: &Current) -> Answer {
    let endpoint = Endpoint::new(&current.process.quota)?;
    let rights = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
    let slot = current.process.install(Capability::new(endpoint, rights))?;
    Ok(value(slot.bits()))
}
