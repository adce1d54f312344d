//! The same for messages that bring capabilities, or whose senders accept some. The slots that are accepted are set
//! aside first, as on the general path, which finds them so if it is gone. What is brought is passed under the lock of
//! the endpoint's queues, once nothing else can fail.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Rights, Tag, message::IS_CALL};

use super::{Answered, answering, called, deliver, receiver, reply_receive, start_of};
use crate::{
    arch::{self, SavedRegisters, quick::Quick},
    capability::passing::{Passing, Slots, Tables},
    ipc::{Endpoint, transfer},
    object::Ref,
    sched::direct,
    thread::{Current, Owed, Tcb},
};

/// The tag of a message that the current thread has the means for.
fn prepare(current: &Current, tag: u64) -> Option<Tag> {
    let tag = Tag::from_bits(tag).ok()?;
    if tag.needs_page() && !current.has_message_page() {
        return None;
    }
    current.prepare_slots(tag.accepted()).ok()?;
    Some(tag)
}

/// The slots of the capabilities that the current thread sends.
#[inline(always)]
fn sent(current: &Current, tag: Tag) -> Slots {
    let first = current.with_registers(|registers| registers.fourth());
    transfer::sent(tag, first, current.message_page())
}

/// Gives `next` all that it finds beside the words in the CPU, of which `passed` are its new capabilities.
#[inline(always)]
fn deliver_with(
    current: &Current,
    next: &Current,
    [badge, marks]: [u64; 2],
    tag: Tag,
    passed: &Slots,
) {
    let control = [badge, tag.delivered().bits(), marks];
    if tag.is_long() {
        deliver::<true>(current, next, control, tag);
    } else {
        deliver::<false>(current, next, control, tag);
    }
    let first = transfer::tell_slots(passed, next.message_page());
    next.with_registers(|registers| registers.set_fourth(first.bits()));
}

#[inline(always)]
fn quick(to: *mut SavedRegisters, tag: Tag) -> Quick<SavedRegisters> {
    Quick::with_words(to, tag.register_words()).with_fourth()
}

/// The call that the current thread makes, if that can be quick now.
#[inline(never)]
pub(super) fn call_at_once(
    current: &Current,
    slot: CapSlot,
    tag: u64,
) -> Option<Quick<SavedRegisters>> {
    let tag = prepare(current, tag)?;
    let (server, next) = call(current, slot, tag)?;
    called(current, &next, tag.accepted());
    Some(direct::switch(current, server, &next, |to| quick(to, tag)))
}

/// The answer of the current thread, after which it receives, if that can be quick now.
#[inline(never)]
pub(super) fn reply_receive_at_once(
    current: &Current,
    slot: CapSlot,
    tag: u64,
    kept: u64,
) -> Option<Quick<SavedRegisters>> {
    let tag = prepare(current, tag)?;
    if tag.capabilities() == 0 && kept != CapSlot::NULL.bits() {
        return None;
    }
    let (caller, next, _) = reply_receive(current, |owed| answer(current, owed, slot, tag))?;
    Some(direct::switch(current, caller, &next, |to| quick(to, tag)))
}

/// Gives the current thread's message to a server: that, and the proof for it.
#[inline(always)]
fn call(current: &Current, slot: CapSlot, tag: Tag) -> Option<(Ref<Tcb>, Current)> {
    let cpu = arch::cpu_index();
    let sent = sent(current, tag);
    let table = &*current.process.table;
    let entries = table.lock();
    let capability = entries.lookup(slot).ok()?;
    let endpoint: &Endpoint = capability.allows(Rights::SEND)?;
    let (server, (next, passed)) = endpoint.take_receiver(|thread| {
        if !transfer::has_room(thread, tag) {
            return None;
        }
        let next = receiver(current, thread, cpu)?;
        if sent.is_empty() {
            return start_of(&next).then(|| (next, Slots::new()));
        }
        let passing = Passing::at_once(table, &entries, &thread.process.table)?;
        let passed = next.with_reserved(|reserved| {
            let linked = passing.link(&sent, reserved).ok()?;
            if !start_of(&next) {
                passing.undo(linked);
                return None;
            }
            Some(passing.fill(linked, reserved))
        })?;
        Some((next, passed))
    })?;
    deliver_with(current, &next, [capability.badge(), IS_CALL], tag, &passed);
    Some((server, next))
}

/// Answers the call with the current thread's message, and lets it wait at the endpoint in `slot`.
#[inline(always)]
fn answer(current: &Current, owed: &Owed<'_>, slot: CapSlot, tag: Tag) -> Option<Answered> {
    let (next, is_fault) = answering(owed, tag, |caller| transfer::has_room(caller, tag))?;
    if is_fault {
        return None;
    }
    let sent = sent(current, tag);
    let tables = Tables::lock(&current.process.table, &owed.caller.process.table);
    let passing = tables.passing();
    let capability = passing.source().lookup(slot).ok()?;
    let endpoint: &Endpoint = capability.allows(Rights::RECEIVE)?;
    endpoint.queue_receiver(current, tag.accepted(), || {
        let passed = next.with_reserved(|reserved| {
            let linked = passing.link(&sent, reserved).ok()?;
            let is_claimed = next.try_claim_taken(owed.sequence);
            if !is_claimed || !start_of(&next) {
                if is_claimed {
                    next.unclaim(owed.sequence);
                }
                passing.undo(linked);
                return None;
            }
            Some(passing.fill(linked, reserved))
        })?;
        current.settle_blocking();
        // Before the current thread is found in the queue, and its registers and its page are another's.
        deliver_with(current, &next, [0, 0], tag, &passed);
        next.end_claimed();
        Some(direct::leave(current))
    })?;
    capability.note_wait();
    let endpoint = Ref::from_object(endpoint);
    Some((next, endpoint, false))
}
