//! Receiving: a message, or the signals of the notification that is bound to the thread.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Deadline, Error, Registers, Rights, Tag, message::IS_SIGNAL};

use super::{
    Endpoint, Notification,
    deadlock::left,
    endpoint::{Found, Side},
    flow, transfer,
    waiting::{release, wait},
};
use crate::{
    object::Ref,
    sched::{Completion, settle},
    thread::{BlockReason, Claim, Current, Sending},
};

/// How many senders a receiver refuses before it begins again.
const MOST_REFUSED: usize = 8;

/// Receives for the current thread by the capability in `slot`; it accepts what `tag` says. Senders of messages that it
/// has no room for are told so.
pub fn receive(current: &Current, slot: CapSlot, tag: Tag, deadline: Deadline) -> Completion {
    let accepts = tag.accepted();
    let bound = current.has_notification().then(|| current.bound_notification()).flatten();
    let bound = bound.and_then(|bound| bound.downcast().ok());
    for _ in 0..MOST_REFUSED {
        match meet(current, slot, bound.as_ref(), accepts, deadline) {
            Err(error) => return Completion::Failed(error),
            Ok(Err(bits)) => {
                return Completion::answered(current, &Registers::control([bits, 0, IS_SIGNAL, 0]));
            }
            Ok(Ok(found)) => match found.queued() {
                Ok(endpoint) => {
                    return wait(current, BlockReason::Receiving, Some(&endpoint), deadline);
                }
                Err(claim) => {
                    let taken = take(current, accepts, claim);
                    settle(current);
                    if let Some(registers) = taken {
                        return Completion::answered(current, &registers);
                    }
                }
            },
        }
    }
    // There may be any number of them: it begins again, and others have their turn before.
    current.with_registers(|registers| registers.receive_again(tag.accepting()));
    Completion::Written
}

/// Takes a sender, or the signals of what is bound, or queues the current thread.
fn meet(
    current: &Current,
    slot: CapSlot,
    bound: Option<&Ref<Notification>>,
    accepts: usize,
    deadline: Deadline,
) -> Result<Result<Found, u64>, Error> {
    let mut before = None;
    let met = Endpoint::meet_at(current, slot, Rights::RECEIVE, |endpoint, capability| {
        let meet = || endpoint.meet(current, Some(capability), Side::Receivers(accepts), deadline);
        match bound {
            None => Ok(Ok(meet()?)),
            Some(bound) => bound.meet_or_take(current, &mut before, meet),
        }
    });
    // What it held is let go without a lock.
    drop(before);
    Ok(met?.0)
}

/// Takes a queued sender's message for the current thread, which accepts so many capabilities; `None` where that is
/// not possible, which the sender is told.
fn take(current: &Current, accepts: usize, claim: Claim) -> Option<Registers> {
    let (badge, sending) = claim.sending();
    let message = match sending {
        Sending::Fault => claim.fault().encode(),
        Sending::Message | Sending::Call => claim.with_registers(|registers| {
            let registers = registers.syscall_registers();
            // The tag was decoded when the sender came, and nobody has touched it since.
            let tag = Tag::from_bits(registers.control[1]).unwrap_or_default();
            transfer::message(tag, &registers)
        }),
    };
    let mut first = CapSlot::NULL;
    if transfer::is_more(message.tag) {
        match take_more(current, accepts, message.tag, &claim) {
            Ok(slot) => first = slot,
            Err(error) => {
                claim.complete(Err(error));
                return None;
            }
        }
    }
    flow::receives(current, claim.thread(), sending);
    if sending != Sending::Message {
        let (sender, sequence) = (claim.thread().clone(), claim.sequence());
        let displaced = current.owe(sender.clone(), sequence);
        claim.taken();
        left(&sender);
        // Its answer may come by a direct switch, which does not look.
        release(&sender);
        drop(displaced);
    } else {
        claim.complete(Ok(Default::default()));
    }
    Some(transfer::delivered(badge, &message, sending, first))
}

/// Takes what of a message does not go from register to register. Gives the slot of its first capability.
fn take_more(current: &Current, accepts: usize, tag: Tag, claim: &Claim) -> Result<CapSlot, Error> {
    if !transfer::fits(tag, current, accepts) {
        return Err(Error::NoRoom);
    }
    let first = claim.with_registers(|registers| registers.fourth());
    transfer::pass(tag, first, &claim.into(), &current.into())
}
