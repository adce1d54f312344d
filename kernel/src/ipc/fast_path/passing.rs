//! The same for messages that bring capabilities, or whose senders accept some. The slots that are accepted are set
//! aside first, as on the general path, which finds them so if it is gone. What is brought is passed under the lock of
//! the endpoint's queues, once nothing else can fail.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Rights, Tag, message::IS_CALL};

use super::{
    Answered, LONG, SHORT, answering, called, claim, deliver, pages, receive, receiver, start_of,
    take_owed,
};
use crate::{
    arch::{self, SavedRegisters, quick::Quick},
    capability::passing::{Passing, Slots, Tables},
    ipc::{Endpoint, transfer},
    object::Ref,
    sched::direct,
    thread::{Current, Holder, Owed, Segments, Tcb},
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
        deliver::<LONG>(current, next, control, tag, pages::<LONG>(current, next).flatten());
    } else {
        deliver::<SHORT>(current, next, control, tag, None);
    }
    let first = transfer::tell_slots(passed, next.message_page());
    next.with_registers(|registers| registers.set_fourth(first.bits()));
}

#[inline(always)]
fn quick(to: *mut SavedRegisters, tag: Tag) -> Quick<SavedRegisters> {
    Quick::with_words(to, tag.register_words()).with_fourth()
}

/// The call that the current thread makes, if that can be quick now.
#[inline(always)]
pub(super) fn call_at_once(
    current: &Current,
    slot: CapSlot,
    tag: u64,
    segments: Segments,
) -> Option<Quick<SavedRegisters>> {
    let tag = prepare(current, tag)?;
    let (server, next) = call(current, slot, tag)?;
    called(current, &next, tag.accepted());
    Some(direct::switch(current, server, &next, segments, |to| quick(to, tag)))
}

/// The answer of the current thread, after which it receives, if that can be quick now.
#[inline(always)]
pub(super) fn reply_receive_at_once(
    current: &Current,
    slot: CapSlot,
    tag: u64,
    kept: u64,
    segments: Segments,
) -> Option<Quick<SavedRegisters>> {
    let tag = prepare(current, tag)?;
    if tag.capabilities() == 0 && kept != CapSlot::NULL.bits() {
        return None;
    }
    let owed = take_owed(current)?;
    let Some(answered) = answer(current, &owed, slot, tag) else {
        owed.put_into(Holder::Thread(current));
        return None;
    };
    let (caller, next, _) = receive(current, owed, answered);
    Some(direct::switch(current, caller, &next, segments, |to| quick(to, tag)))
}

/// Gives the current thread's message to a server: that, and the proof for it.
#[inline(always)]
fn call(current: &Current, slot: CapSlot, tag: Tag) -> Option<(Ref<Tcb>, Current)> {
    let sent = sent(current, tag);
    let cpu = arch::cpu_index();
    let table = &*current.process.table;
    let entries = table.lock();
    let capability = entries.lookup(slot).ok()?;
    let endpoint: &Endpoint = capability.allows(Rights::SEND)?;
    let mut queues = endpoint.lock();
    let first = queues.first_receiver()?;
    if !transfer::has_room(&first, tag) {
        return None;
    }
    let next = receiver(current, &first, cpu)?;
    let passed = if sent.is_empty() {
        start_of(&next).then(Slots::new)?
    } else {
        let passing = Passing::at_once(table, &entries, &first.process.table)?;
        next.with_reserved(|reserved| {
            let linked = passing.link(&sent, reserved).ok()?;
            if !start_of(&next) {
                passing.undo(linked);
                return None;
            }
            Some(passing.fill(linked, reserved))
        })?
    };
    let server = first.take();
    drop(queues);
    deliver_with(current, &next, [capability.badge(), IS_CALL], tag, &passed);
    Some((server, next))
}

/// Answers the call with the current thread's message, and lets it wait at the endpoint in `slot`.
#[inline(always)]
fn answer(current: &Current, owed: &Owed<'_>, slot: CapSlot, tag: Tag) -> Option<Answered> {
    let (next, is_fault) = answering(owed, tag, true)?;
    if is_fault || !transfer::has_room(&next, tag) {
        return None;
    }
    let sent = sent(current, tag);
    let tables = Tables::lock(&current.process.table, &owed.caller.process.table);
    let passing = tables.passing();
    let capability = passing.source().lookup(slot).ok()?;
    let endpoint: &Endpoint = capability.allows(Rights::RECEIVE)?;
    let queues = endpoint.lock();
    if !queues.admit(current) {
        return None;
    }
    let passed = next.with_reserved(|reserved| {
        let linked = passing.link(&sent, reserved).ok()?;
        if !claim(owed, &next) {
            passing.undo(linked);
            return None;
        }
        Some(passing.fill(linked, reserved))
    })?;
    current.settle_blocking();
    // Before the current thread is found in the queue, and its registers and its page are another's.
    deliver_with(current, &next, [0, 0], tag, &passed);
    next.end_claimed();
    queues.queue_receiver(current, direct::leave(current), tag.accepted());
    capability.note_wait();
    Some((next, Ref::from_object(endpoint), false))
}
