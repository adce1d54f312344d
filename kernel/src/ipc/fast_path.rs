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

mod faults;
mod passing;

pub use faults::fault_at_once;

use orbital_abi::{
    CapSlot, Deadline, Rights, Tag, fault,
    message::{IS_CALL, REGISTER_WORDS},
};

use super::{Endpoint, fault::Handled, transfer, waiting::Waiting};
use crate::{
    arch::{
        self, SavedRegisters,
        quick::{Bare, Quick},
    },
    object::Ref,
    sched::direct,
    thread::{BlockReason, Current, Holder, Owed, Phase, Segments, Sending, Tcb},
    vm::MessagePage,
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

/// How large a message is: no words, words in registers, or more.
type Size = u8;
const BARE: Size = 0;
const SHORT: Size = 1;
const LONG: Size = 2;

/// The call that the current thread makes without words, if that can be quick now. Its tag is no more than a label,
/// and its segment registers are null.
#[inline(always)]
pub fn bare_call_at_once(current: &Current, request: Request) -> Option<Bare<SavedRegisters>> {
    let tag = Tag::new(request.tag as u32, 0).ok()?;
    call_and_switch::<BARE>(current, request.slot()?, tag, Segments::Null)
}

/// The same of its answer, after which it receives, as [`reply_receive_at_once`].
#[inline(always)]
pub fn bare_reply_receive_at_once(
    current: &Current,
    request: Request,
    kept: u64,
) -> Option<Bare<SavedRegisters>> {
    let slot = request.slot()?;
    if kept != CapSlot::NULL.bits() {
        return None;
    }
    let tag = Tag::new(request.tag as u32, 0).ok()?;
    let owed = take_owed(current)?;
    if owed.caller.sends_fault() {
        return answer_and_switch::<SHORT>(current, owed, slot, tag, Segments::Null);
    }
    answer_and_switch::<BARE>(current, owed, slot, tag, Segments::Null)
}

/// The call that the current thread makes with words in registers, if any, if that can be quick now.
#[inline(always)]
pub fn call_at_once(
    current: &Current,
    request: Request,
    segments: Segments,
) -> Option<Quick<SavedRegisters>> {
    let slot = request.slot()?;
    let tag = Tag::short_from_bits(request.tag)?;
    Some(call_and_switch::<SHORT>(current, slot, tag, segments)?.quick)
}

/// The same of a message with more than words in registers.
#[inline(always)]
pub fn long_call_at_once(
    current: &Current,
    request: Request,
    segments: Segments,
) -> Option<Quick<SavedRegisters>> {
    let slot = request.slot()?;
    let Some(tag) = Tag::plain_from_bits(request.tag) else {
        return passing::call_at_once(current, slot, request.tag, segments);
    };
    if !current.has_message_page() {
        return None;
    }
    Some(call_and_switch::<LONG>(current, slot, tag, segments)?.quick)
}

#[inline(always)]
fn call_and_switch<const SIZE: Size>(
    current: &Current,
    slot: CapSlot,
    tag: Tag,
    segments: Segments,
) -> Option<Bare<SavedRegisters>> {
    let (server, next, badge) = call::<SIZE>(current, slot)?;
    let control = [badge, tag.bits(), IS_CALL];
    deliver::<SIZE>(current, &next, control, tag, pages::<SIZE>(current, &next).flatten());
    called(current, &next, 0);
    let quick = direct::switch(current, server, &next, segments, |to| {
        Quick::with_words(to, register_words::<SIZE>(tag))
    });
    Some(Bare { quick, control })
}

/// The answer of the current thread with words in registers, if any, after which it receives, if that can be quick now.
/// `kept` names the call that is answered, or is [`CapSlot::NULL`], where it is not the first capability of the answer.
#[inline(always)]
pub fn reply_receive_at_once(
    current: &Current,
    request: Request,
    kept: u64,
    segments: Segments,
) -> Option<Quick<SavedRegisters>> {
    let slot = request.slot()?;
    let tag = Tag::short_from_bits(request.tag)?;
    if kept != CapSlot::NULL.bits() {
        return None;
    }
    reply_and_switch::<SHORT>(current, slot, tag, segments)
}

/// The same with more than words in registers.
#[inline(always)]
pub fn long_reply_receive_at_once(
    current: &Current,
    request: Request,
    kept: u64,
    segments: Segments,
) -> Option<Quick<SavedRegisters>> {
    let slot = request.slot()?;
    let Some(tag) = Tag::plain_from_bits(request.tag) else {
        return passing::reply_receive_at_once(current, slot, request.tag, kept, segments);
    };
    if kept != CapSlot::NULL.bits() || !current.has_message_page() {
        return None;
    }
    reply_and_switch::<LONG>(current, slot, tag, segments)
}

#[inline(always)]
fn reply_and_switch<const SIZE: Size>(
    current: &Current,
    slot: CapSlot,
    tag: Tag,
    segments: Segments,
) -> Option<Quick<SavedRegisters>> {
    let owed = take_owed(current)?;
    answer_and_switch::<SIZE>(current, owed, slot, tag, segments).map(|bare| bare.quick)
}

/// The same, where that is the call that the current thread owes.
#[inline(always)]
fn answer_and_switch<const SIZE: Size>(
    current: &Current,
    owed: Owed<'_>,
    slot: CapSlot,
    tag: Tag,
    segments: Segments,
) -> Option<Bare<SavedRegisters>> {
    let Some(answered) = answer::<SIZE>(current, &owed, slot, tag) else {
        owed.put_into(Holder::Thread(current));
        return None;
    };
    let (caller, next, is_fault) = receive(current, owed, answered);
    let quick = direct::switch(current, caller, &next, segments, |to| match is_fault {
        true => Quick::saved(to),
        false => Quick::with_words(to, register_words::<SIZE>(tag)),
    });
    Some(Bare { quick, control: [0, tag.bits(), 0] })
}

/// How many words of the message are in registers.
#[inline(always)]
fn register_words<const SIZE: Size>(tag: Tag) -> usize {
    match SIZE {
        BARE => 0,
        SHORT => tag.words(),
        _ => REGISTER_WORDS,
    }
}

/// The page from which a long message is copied, and the one to which; `None` for others.
type Pages<'a> = Option<(&'a MessagePage, &'a MessagePage)>;

/// Those pages, for a message from `from` to `to`; `None` where one has none.
#[inline(always)]
fn pages<'a, const SIZE: Size>(from: &'a Current, to: &'a Current) -> Option<Pages<'a>> {
    if SIZE != LONG {
        return Some(None);
    }
    Some(Some((from.message_page()?, to.message_page()?)))
}

/// Gives `next` the control words, and those of the current thread's message words that are not in the CPU. Control words
/// alone stay there.
#[inline(always)]
fn deliver<const SIZE: Size>(
    current: &Current,
    next: &Current,
    control: [u64; 3],
    tag: Tag,
    pages: Pages<'_>,
) {
    if SIZE == BARE {
        return;
    }
    next.with_registers(|to| {
        to.set_control(control);
        if register_words::<SIZE>(tag) != 0 {
            current.with_registers(|from| to.set_first_words(from));
        }
    });
    if let Some((from, to)) = pages {
        transfer::copy_long(tag, from, to);
    }
}

/// A thread that waits at an endpoint for a message and may get it at once, if [`start_of`] it succeeds. Not one whose
/// capability may be kept in its tree for its wait: that is let go where the general way ends it.
#[inline(always)]
fn receiver(current: &Current, thread: &Tcb, cpu: usize) -> Option<Current> {
    // It works for the current one, whose priority it is lent.
    let next = direct::candidate(thread, current.priority(), cpu)?;
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

/// Takes a server that may have the current thread's message: that, the proof for it, and the badge.
#[inline(always)]
fn call<const SIZE: Size>(current: &Current, slot: CapSlot) -> Option<(Ref<Tcb>, Current, u64)> {
    let cpu = arch::cpu_index();
    let entries = current.process.table.lock();
    let capability = entries.lookup(slot).ok()?;
    let endpoint: &Endpoint = capability.allows(Rights::SEND)?;
    let mut queues = endpoint.lock();
    let first = queues.first_receiver()?;
    if SIZE == LONG && !first.has_message_page() {
        return None;
    }
    let next = receiver(current, &first, cpu)?;
    if !start_of(&next) {
        return None;
    }
    let server = first.take();
    drop(queues);
    let badge = capability.badge();
    drop(entries);
    Some((server, next, badge))
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

/// Takes the call that the current thread owes, which has to be answered or put back.
#[inline(always)]
fn take_owed(current: &Current) -> Option<Owed<'_>> {
    if current.has_notification() {
        return None;
    }
    current.owed().take_call()
}

/// The proof for a caller that was answered, the endpoint where the current thread waits, and whether the caller had
/// a fault.
type Answered = (Current, Ref<Endpoint>, bool);

/// The current thread, which has answered a call, waits for the next one: the caller, the proof for it, and whether it
/// had a fault.
#[inline(always)]
fn receive(
    current: &Current,
    owed: Owed<'_>,
    (next, endpoint, is_fault): Answered,
) -> (Ref<Tcb>, Current, bool) {
    current.set_block_reason(BlockReason::Receiving);
    current.begin_operation(Waiting::begun(current, Some(endpoint)));
    if let Some(waiting) = next.take_operation::<Waiting<Endpoint>>() {
        waiting.ended();
    } else if let Some(handled) = next.take_operation::<Handled>() {
        handled.resumed();
    }
    (owed.answered(), next, is_fault)
}

/// The proof for a caller that may get its answer at once, whose tag is that, and whether it had a fault, if it
/// `may_have_fault`.
#[inline(always)]
fn answering(owed: &Owed<'_>, tag: Tag, may_have_fault: bool) -> Option<(Current, bool)> {
    let next = direct::candidate(&owed.caller, owed.caller.priority(), arch::cpu_index())?;
    let is_fault = may_have_fault && next.sends_fault();
    let is_ready = match is_fault {
        true => tag.label() == fault::RESUME && next.is_in::<Handled>(),
        false => next.is_in::<Waiting<Endpoint>>(),
    };
    is_ready.then_some((next, is_fault))
}

/// Claims the wait of a caller that is answered, and starts its poll.
#[inline(always)]
fn claim(owed: &Owed<'_>, next: &Current) -> bool {
    if !next.try_claim_taken(owed.sequence) {
        return false;
    }
    let has_started = start_of(next);
    if !has_started {
        next.unclaim(owed.sequence);
    }
    has_started
}

/// Answers the call with the current thread's words, and lets it wait at the endpoint in `slot`.
#[inline(always)]
fn answer<const SIZE: Size>(
    current: &Current,
    owed: &Owed<'_>,
    slot: CapSlot,
    tag: Tag,
) -> Option<Answered> {
    let (next, is_fault) = answering(owed, tag, SIZE != BARE)?;
    let pages = if is_fault { None } else { pages::<SIZE>(current, &next)? };
    let entries = current.process.table.lock();
    let capability = entries.lookup(slot).ok()?;
    let endpoint: &Endpoint = capability.allows(Rights::RECEIVE)?;
    let queues = endpoint.lock();
    if !queues.admit(current) || !claim(owed, &next) {
        return None;
    }
    current.settle_blocking();
    if SIZE == BARE {
        // By which it stands in the queue: the CPU alone has it.
        current.with_registers(|registers| registers.set_first(slot.bits()));
    }
    // Before the current thread is found in the queue, and its registers and its page are another's.
    if !is_fault {
        deliver::<SIZE>(current, &next, [0, tag.bits(), 0], tag, pages);
    }
    next.end_claimed();
    queues.queue_receiver(current, direct::leave(current), 0);
    capability.note_wait();
    Some((next, Ref::from_object(endpoint), is_fault))
}
