//! The fast path of messages: a call, an answer, or word of a fault that finds its partner waiting on this CPU is
//! a direct switch (`sched::direct`): the partner goes on, with the words in the registers where they are, and those
//! in the page copied to its own. No future is polled, nothing is queued that does not stay in its queue, and nobody
//! is woken.
//!
//! It is a short cut through the general path, and leads to the same: everything is looked at first, and where
//! anything is out of the ordinary (a deadline, another CPU, a waiting sender, a budget, a kill, an error) the
//! answer is `None`, nothing has changed, and the general path is gone from its beginning.
//!
//! The capability stays locked in its table meanwhile, which keeps the endpoint. Lock order: the table, or the
//! thread's handler; then the endpoint's queues. Who waits in a queue whose lock is held can't be claimed or
//! cancelled by anybody else.

#![forbid(unsafe_code)]

mod passing;

use orbital_abi::{
    CapSlot, Deadline, Fault, Rights, Tag, fault,
    fault::FaultMessage,
    message::{IS_CALL, REGISTER_WORDS},
};

use super::{Endpoint, fault::Handled, transfer, waiting::Waiting};
use crate::{
    arch::{self, SavedRegisters, quick::Quick},
    object::Ref,
    sched::direct,
    thread::{BlockReason, Current, Holder, Owed, Phase, Sending, Tcb},
};

/// What the system call was given: control words 0 to 2.
#[derive(Clone, Copy)]
pub struct Request {
    /// The endpoint.
    pub slot: u64,
    /// The message's tag.
    pub tag: u64,
    /// Until when.
    pub deadline: u64,
}

impl Request {
    /// Whether it may be quick now, and the endpoint.
    #[inline(always)]
    fn slot(self) -> Option<CapSlot> {
        let is_possible = self.deadline == Deadline::Never.bits() && direct::is_possible();
        is_possible.then_some(CapSlot::from_bits(self.slot))
    }
}

/// The call that the current thread makes, if that can be quick now.
#[inline(always)]
pub fn call_at_once(current: &Current, request: Request) -> Option<Quick<SavedRegisters>> {
    let slot = request.slot()?;
    match Tag::short_from_bits(request.tag) {
        Some(tag) => call_and_switch::<false>(current, slot, tag),
        None => long_call_at_once(current, slot, request.tag),
    }
}

/// The same for a message with more than words in registers. A function of its own, so that short ones have nothing
/// of it.
#[inline(never)]
fn long_call_at_once(current: &Current, slot: CapSlot, tag: u64) -> Option<Quick<SavedRegisters>> {
    let Some(tag) = Tag::plain_from_bits(tag) else {
        return passing::call_at_once(current, slot, tag);
    };
    current.has_message_page().then(|| call_and_switch::<true>(current, slot, tag))?
}

#[inline(always)]
fn call_and_switch<const LONG: bool>(
    current: &Current,
    slot: CapSlot,
    tag: Tag,
) -> Option<Quick<SavedRegisters>> {
    let (server, next) = call::<LONG>(current, slot, tag)?;
    called(current, &next, 0);
    Some(direct::switch(current, server, &next, |to| {
        Quick::with_words(to, register_words::<LONG>(tag))
    }))
}

/// The answer of the current thread, after which it receives, if that can be quick now. `kept` names the call that
/// is answered, or is [`CapSlot::NULL`], where it is not the first capability of the answer.
#[inline(always)]
pub fn reply_receive_at_once(
    current: &Current,
    request: Request,
    kept: u64,
) -> Option<Quick<SavedRegisters>> {
    let slot = request.slot()?;
    match Tag::short_from_bits(request.tag) {
        Some(_) if kept != CapSlot::NULL.bits() => None,
        Some(tag) => reply_and_switch::<false>(current, slot, tag),
        None => long_reply_receive_at_once(current, slot, request.tag, kept),
    }
}

/// As [`long_call_at_once`].
#[inline(never)]
fn long_reply_receive_at_once(
    current: &Current,
    slot: CapSlot,
    tag: u64,
    kept: u64,
) -> Option<Quick<SavedRegisters>> {
    let Some(tag) = Tag::plain_from_bits(tag) else {
        return passing::reply_receive_at_once(current, slot, tag, kept);
    };
    if kept != CapSlot::NULL.bits() || !current.has_message_page() {
        return None;
    }
    reply_and_switch::<true>(current, slot, tag)
}

#[inline(always)]
fn reply_and_switch<const LONG: bool>(
    current: &Current,
    slot: CapSlot,
    tag: Tag,
) -> Option<Quick<SavedRegisters>> {
    let (caller, next, is_fault) =
        reply_receive(current, |owed| answer::<LONG>(current, owed, slot, tag))?;
    Some(direct::switch(current, caller, &next, |to| match is_fault {
        true => Quick::saved(to),
        false => Quick::with_words(to, register_words::<LONG>(tag)),
    }))
}

/// How many words of the message are in registers.
#[inline(always)]
fn register_words<const LONG: bool>(tag: Tag) -> usize {
    if LONG { REGISTER_WORDS } else { tag.words() }
}

/// Gives `next`, which has room for the words, the control words, and those of the current thread's message words that
/// are not in the CPU.
#[inline(always)]
fn deliver<const LONG: bool>(current: &Current, next: &Current, control: [u64; 3], tag: Tag) {
    next.with_registers(|to| {
        to.set_control(control);
        if LONG || tag.words() != 0 {
            current.with_registers(|from| to.set_first_words(from));
        }
    });
    if LONG {
        transfer::copy_long(tag, current.message_page(), next.message_page());
    }
}

/// Word of the current thread's fault, to be answered like a call.
pub fn fault_at_once(current: &Current, fault: &Fault) -> Option<Quick<SavedRegisters>> {
    if !direct::is_possible() {
        return None;
    }
    let cpu = arch::cpu_index();
    let (handler, next, badge) = current.with_fault_handler(|handler| {
        let endpoint: &Endpoint = handler.endpoint.get().ok()?;
        let (thread, next) =
            endpoint.take_receiver(|thread| receiver(current, thread, cpu).filter(start_of))?;
        Some((thread, next, handler.badge))
    })?;
    current.set_fault(badge, fault);
    let message = FaultMessage { fault: *fault, thread: current.id.0 }.encode();
    let delivered = transfer::delivered(badge, &message, Sending::Fault, CapSlot::NULL);
    next.with_registers(|registers| registers.set_answer(0, &delivered));
    let waiting = Handled::begun(current, *fault);
    current.set_block_reason(BlockReason::WaitingHandler);
    current.begin_operation(waiting);
    taken(current, Sending::Fault, 0, &next);
    Some(direct::switch(current, handler, &next, Quick::saved))
}

/// A thread that waits at an endpoint for a message and may get it at once, if [`start_of`] it succeeds. Not one whose capability may be kept in its
/// tree for its wait: that is let go where the general way ends it.
#[inline(always)]
fn receiver(current: &Current, thread: &Tcb, cpu: usize) -> Option<Current> {
    // It works for the current one, whose priority it is lent.
    let priority = thread.priority().max(current.priority());
    let next = direct::candidate(thread, priority, cpu)?;
    let is_ready = next.is_in::<Waiting<Endpoint>>()
        && !next.owed().is_some()
        && !next.process.table.lingers();
    is_ready.then_some(next)
}

/// Starts the poll of a thread that is to go on, which has to be left to nobody else.
#[inline(always)]
fn start_of(next: &Current) -> bool {
    next.task().start_unwoken()
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
        let endpoint: &Endpoint = capability.allows(Rights::SEND)?;
        let (thread, next) = endpoint.take_receiver(|thread| {
            let has_room = !LONG || thread.has_message_page();
            has_room.then(|| receiver(current, thread, cpu).filter(start_of))?
        })?;
        Some((thread, next, capability.badge()))
    });
    let (server, next, badge) = found.ok()??;
    deliver::<LONG>(current, &next, [badge, tag.bits(), IS_CALL], tag);
    Some((server, next))
}

/// The server for which `next` is the proof has the current thread's call, which waits for the answer.
#[inline(always)]
fn called(current: &Current, next: &Current, accepts: usize) {
    current.set_block_reason(BlockReason::WaitingReply { from: None });
    current.begin_operation(Waiting::<Endpoint>::begun(current, None));
    taken(current, Sending::Call, accepts, next);
}

/// The current thread's call was taken by the one for which `next` is the proof.
#[inline(always)]
fn taken(current: &Current, sending: Sending, accepts: usize, next: &Current) {
    if let Some(waiting) = next.take_operation::<Waiting<Endpoint>>() {
        waiting.ended();
    }
    let sequence = current.begin_wait(Phase::Taken, sending, accepts);
    next.owe_first(direct::leave(current), sequence);
}

/// The proof for a caller that was answered, the endpoint where the current thread waits, and whether the caller had
/// a fault.
type Answered = (Current, Ref<Endpoint>, bool);

/// Lets `answer` answer the call that the current thread owes, which receives then: the caller, the proof for it, and
/// whether it had a fault.
#[inline(always)]
fn reply_receive(
    current: &Current,
    answer: impl FnOnce(&Owed<'_>) -> Option<Answered>,
) -> Option<(Ref<Tcb>, Current, bool)> {
    if current.has_notification() {
        return None;
    }
    let owed = current.owed().take_call()?;
    let Some((next, endpoint, is_fault)) = answer(&owed) else {
        owed.put_into(Holder::Thread(current));
        return None;
    };
    current.set_block_reason(BlockReason::Receiving);
    current.begin_operation(Waiting::begun(current, Some(endpoint)));
    if let Some(waiting) = next.take_operation::<Waiting<Endpoint>>() {
        waiting.ended();
    } else if let Some(handled) = next.take_operation::<Handled>() {
        handled.resumed();
    }
    Some((owed.answered(), next, is_fault))
}

/// The proof for a caller that may get its answer at once, whose tag is that, and whether it had a fault.
#[inline(always)]
fn answering(
    owed: &Owed<'_>,
    tag: Tag,
    has_room: impl FnOnce(&Tcb) -> bool,
) -> Option<(Current, bool)> {
    let next = direct::candidate(&owed.caller, owed.caller.priority(), arch::cpu_index())?;
    let is_fault = next.sends_fault();
    let is_ready = match is_fault {
        true => tag.label() == fault::RESUME && next.is_in::<Handled>(),
        false => next.is_in::<Waiting<Endpoint>>() && has_room(&next),
    };
    is_ready.then_some((next, is_fault))
}

/// Answers the call with the current thread's words, and lets it wait at the endpoint in `slot`.
#[inline(always)]
fn answer<const LONG: bool>(
    current: &Current,
    owed: &Owed<'_>,
    slot: CapSlot,
    tag: Tag,
) -> Option<Answered> {
    let (next, is_fault) = answering(owed, tag, |caller| !LONG || caller.has_message_page())?;
    let queued = current.process.with_capability(slot, |capability| {
        let endpoint: &Endpoint = capability.allows(Rights::RECEIVE)?;
        endpoint.queue_receiver(current, 0, || {
            if !next.try_claim_taken(owed.sequence) {
                return None;
            }
            if !start_of(&next) {
                next.unclaim(owed.sequence);
                return None;
            }
            current.settle_blocking();
            // Before the current thread is found in the queue, and its registers and its page are another's.
            if !is_fault {
                deliver::<LONG>(current, &next, [0, tag.bits(), 0], tag);
            }
            next.end_claimed();
            Some(direct::leave(current))
        })?;
        capability.note_wait();
        Some(Ref::from_object(endpoint))
    });
    Some((next, queued.ok()??, is_fault))
}
