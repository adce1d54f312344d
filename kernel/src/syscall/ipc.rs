//! Message operations.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Deadline, Error, IpcError, Message, Registers, Rights, Tag};

use super::{Answer, lookup, value};
use crate::{
    capability::Capability,
    ipc::{
        Endpoint, binding, receive,
        reply::{self, Expects},
        transfer,
    },
    object::Ref,
    sched::Completion,
    thread::{Current, Tcb},
};

/// The endpoint's handle, in control word 0.
fn endpoint(registers: &Registers) -> CapSlot {
    CapSlot::from_bits(registers.control[0])
}

/// The message in control word 1 and the message words, and perhaps in the thread's page.
fn message(current: &Current, registers: &Registers) -> Result<Message, IpcError> {
    let tag = Tag::from_bits(registers.control[1])?;
    if tag.is_long() && !current.has_message_page() {
        return Err(IpcError::InvalidMessage);
    }
    Ok(transfer::message(tag, registers))
}

fn deadline(registers: &Registers) -> Deadline {
    Deadline::from_bits(registers.control[2])
}

fn send_with(current: &Current, registers: &Registers, expects: Expects) -> Completion {
    match message(current, registers) {
        Ok(message) => {
            Endpoint::send(current, endpoint(registers), &message, expects, deadline(registers))
        }
        Err(error) => Completion::Done(Err(error.into())),
    }
}

pub(super) fn send(current: &Current, registers: &Registers) -> Completion {
    send_with(current, registers, Expects::Nothing)
}

pub(super) fn call(current: &Current, registers: &Registers) -> Completion {
    send_with(current, registers, Expects::Reply)
}

pub(super) fn receive(current: &Current, registers: &Registers) -> Completion {
    receive::receive(current, endpoint(registers), deadline(registers))
}

pub(super) fn reply(current: &Current, registers: &Registers) -> Answer {
    let message = message(current, registers)?;
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
        let found = current.process.with_capability(slot, |capability| {
            capability.get::<Endpoint>(Rights::RECEIVE).map(|_| ())
        });
        found??;
        Ok::<_, Error>(message)
    })();
    let message = match decoded {
        Ok(message) => message,
        Err(error) => return Completion::Done(Err(error)),
    };
    match reply::reply(current, CapSlot::from_bits(registers.control[3]), &message) {
        Ok(()) | Err(Error::PeerGone) => {
            match receive::receive(current, slot, deadline(registers)) {
                // It was there before the answer.
                Completion::Done(Err(Error::StaleCapability)) => {
                    Completion::Done(Err(Error::Revoked))
                }
                received => received,
            }
        }
        Err(error) => Completion::Done(Err(error)),
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

pub(super) fn bind(current: &Current, registers: &Registers) -> Answer {
    let endpoint = lookup(current, endpoint(registers), Rights::RECEIVE)?;
    let thread = bound_to(current, registers)?;
    binding::bind_endpoint(&endpoint, thread.as_ref())?;
    Ok(Registers::default())
}

pub(super) fn create(current: &Current) -> Answer {
    let endpoint = Endpoint::new(&current.process.quota)?;
    let rights = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
    let slot = current.process.install(Capability::new(endpoint, rights))?;
    Ok(value(slot.bits()))
}
