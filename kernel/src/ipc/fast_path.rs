//! The fast path of messages: a call, an answer, or word of a fault that finds its partner waiting on this CPU is
//! a direct switch (`sched::direct`): the words go from register to register and from page to page, and the partner
//! goes on. No future is polled, nothing is queued that does not stay in its queue, and nobody is woken.
//!
//! It is a short cut through the general path, and leads to the same: everything is looked at first, and where
//! anything is out of the ordinary (a deadline, another CPU, a waiting sender, a budget, a kill, an error) the
//! answer is `None`, nothing has changed, and the general path is gone from its beginning.
//!
//! The capability stays locked in its table meanwhile, which keeps the endpoint. Lock order: the table, or the
//! thread's handler; then the endpoint's queues. Who waits in a queue whose lock is held can't be claimed or
//! cancelled by anybody else.

#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Fault, Rights, Tag, fault,
    fault::FaultMessage,
    message::{IS_CALL, REGISTER_WORDS},
};

use super::{Endpoint, fault::Handled, transfer, waiting::Waiting};
use crate::{
    arch::{self, SavedRegisters},
    object::Ref,
    sched::direct,
    thread::{BlockReason, Current, Holder, Owed, Phase, Sending, Tcb},
};

/// The call that the current thread makes, or else the answer after which it receives, if that can be quick now.
#[inline(always)]
pub fn message_at_once(current: &Current, is_call: bool) -> Option<*mut SavedRegisters> {
    let [slot, tag, deadline, kept] = current.with_registers(|registers| registers.request());
    if deadline != Deadline::Never.bits() || !direct::is_possible() {
        return None;
    }
    if !is_call && kept != CapSlot::NULL.bits() {
        return None;
    }
    let slot = CapSlot::from_bits(slot);
    let Some(tag) = Tag::short_from_bits(tag) else {
        return long_message_at_once(current, is_call, slot, tag);
    };
    exchange::<false>(current, is_call, slot, tag)
}

/// The same for a message with words that travel in pages. A function of its own, so that short ones have nothing
/// of it.
#[inline(never)]
fn long_message_at_once(
    current: &Current,
    is_call: bool,
    slot: CapSlot,
    tag: u64,
) -> Option<*mut SavedRegisters> {
    let tag = Tag::from_bits(tag).ok().filter(|_| current.has_message_page())?;
    exchange::<true>(current, is_call, slot, tag)
}

/// Gives the CPU to the partner, with the message, which is `LONG` or not.
#[inline(always)]
fn exchange<const LONG: bool>(
    current: &Current,
    is_call: bool,
    slot: CapSlot,
    tag: Tag,
) -> Option<*mut SavedRegisters> {
    let (partner, next) = match is_call {
        true => call::<LONG>(current, slot, tag)?,
        false => reply_receive::<LONG>(current, slot, tag)?,
    };
    Some(direct::switch(current, partner, &next))
}

/// Moves the words of the current thread's message to a partner that has room for them, with these control words.
#[inline(always)]
fn deliver<const LONG: bool>(current: &Current, next: &Current, control: [u64; 4], tag: Tag) {
    let words = if LONG { REGISTER_WORDS } else { tag.words() };
    current.with_registers(|from| {
        next.with_registers(|to| from.deliver(to, control, words));
    });
    if LONG {
        transfer::copy_long(tag, current.message_page(), next.message_page());
    }
}

/// Word of the current thread's fault, to be answered like a call.
pub fn fault_at_once(current: &Current, fault: &Fault) -> Option<*mut SavedRegisters> {
    if !direct::is_possible() {
        return None;
    }
    let cpu = arch::cpu_index();
    let (handler, next, badge) = current.with_fault_handler(|handler| {
        let endpoint: &Endpoint = handler.endpoint.get().ok()?;
        let (thread, next) = endpoint.take_receiver(|thread| receiver(thread, cpu))?;
        Some((thread, next, handler.badge))
    })?;
    current.set_fault(badge, fault);
    let message = FaultMessage { fault: *fault, thread: current.id.0 }.encode();
    let delivered = transfer::delivered(badge, &message, Sending::Fault);
    next.with_registers(|registers| registers.set_answer(0, &delivered));
    let waiting = Handled::begun(current, *fault);
    current.set_block_reason(BlockReason::WaitingHandler);
    current.set_operation(waiting);
    taken(current, Sending::Fault, &next);
    Some(direct::switch(current, handler, &next))
}

/// A thread that waits at an endpoint for a message and may get it at once.
#[inline(always)]
fn receiver(thread: &Tcb, cpu: usize) -> Option<Current> {
    let next = direct::candidate(thread, cpu)?;
    let is_ready =
        next.is_in::<Waiting<Endpoint>>() && !next.owed().is_some() && next.task().start_unwoken();
    is_ready.then_some(next)
}

/// Gives the current thread's message to a server: that, and the proof for it.
#[inline(always)]
fn call<const LONG: bool>(
    current: &Current,
    slot: CapSlot,
    tag: Tag,
) -> Option<(Ref<Tcb>, Current)> {
    let cpu = arch::cpu_index();
    let found = current.process.with_capability(slot, |capability| {
        let endpoint: &Endpoint = capability.get(Rights::SEND).ok()?;
        let (thread, next) = endpoint.take_receiver(|thread| {
            let has_room = !LONG || thread.has_message_page();
            has_room.then(|| receiver(thread, cpu))?
        })?;
        Some((thread, next, capability.badge()))
    });
    let (server, next, badge) = found.ok()??;
    deliver::<LONG>(current, &next, [badge, tag.bits(), IS_CALL, 0], tag);
    current.set_block_reason(BlockReason::WaitingReply { from: None });
    current.set_operation(Waiting::<Endpoint>::begun(current, None));
    taken(current, Sending::Call, &next);
    Some((server, next))
}

/// The current thread's call was taken by the one for which `next` is the proof.
#[inline(always)]
fn taken(current: &Current, sending: Sending, next: &Current) {
    if let Some(waiting) = next.take_operation::<Waiting<Endpoint>>() {
        waiting.ended();
    }
    let sequence = current.begin_wait(Phase::Taken, sending);
    if let Some(caller) = direct::leave() {
        next.owe_first(caller, sequence);
    }
}

/// Answers the call that the current thread owes, and lets it receive: the caller, and the proof for it.
#[inline(always)]
fn reply_receive<const LONG: bool>(
    current: &Current,
    slot: CapSlot,
    tag: Tag,
) -> Option<(Ref<Tcb>, Current)> {
    if current.has_notification() {
        return None;
    }
    let owed = current.owed().take_call()?;
    let done = answer::<LONG>(current, &owed, slot, tag);
    let Some((next, endpoint)) = done else {
        owed.put_into(Holder::Thread(current));
        return None;
    };
    current.set_block_reason(BlockReason::Receiving);
    current.set_operation(Waiting::begun(current, Some(endpoint)));
    if let Some(waiting) = next.take_operation::<Waiting<Endpoint>>() {
        waiting.ended();
    } else if let Some(handled) = next.take_operation::<Handled>() {
        handled.resumed();
    }
    Some((owed.answered(), next))
}

/// Answers the call with the current thread's words, and lets it wait at the endpoint in `slot`: the proof for
/// the caller, and the endpoint.
#[inline(always)]
fn answer<const LONG: bool>(
    current: &Current,
    owed: &Owed<'_>,
    slot: CapSlot,
    tag: Tag,
) -> Option<(Current, Ref<Endpoint>)> {
    let cpu = arch::cpu_index();
    let next = direct::candidate(&owed.caller, cpu)?;
    let is_fault = next.sends_fault();
    let is_ready = match is_fault {
        true => tag.label() == fault::RESUME && next.is_in::<Handled>(),
        false => next.is_in::<Waiting<Endpoint>>() && (!LONG || next.has_message_page()),
    };
    if !is_ready {
        return None;
    }
    let queued = current.process.with_capability(slot, |capability| {
        let endpoint: &Endpoint = capability.get(Rights::RECEIVE).ok()?;
        endpoint.queue_receiver(current, || {
            if !next.try_claim_taken(owed.sequence) {
                return None;
            }
            if !next.task().start_unwoken() {
                next.unclaim(owed.sequence);
                return None;
            }
            // Before the current thread is found in the queue, and its registers and its page are another's.
            if !is_fault {
                deliver::<LONG>(current, &next, [0, tag.bits(), 0, 0], tag);
            }
            next.end_claimed();
            direct::leave()
        })?;
        capability.note_wait();
        Some(Ref::from_object(endpoint))
    });
    Some((next, queued.ok()??))
}
