//! What a message operation reads from a sender's registers and page, and leaves in a receiver's. Everything
//! that can fail is decoded before anything is changed.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, Message, Registers, Tag,
    message::{IS_CALL, IS_FAULT, PAGE_SLOTS, REGISTER_WORDS},
};

use crate::{
    capability::passing::{self, Slots},
    thread::{Claim, Current, Sending, Tcb},
    vm::MessagePage,
};

/// The message with `tag` in a sender's `registers`; words behind its count are zero. What else it brings is read when
/// it is taken.
#[inline(always)]
pub fn message(tag: Tag, registers: &Registers) -> Message {
    let count = tag.register_words();
    // Each by itself: with so few that takes less than a copy of some and zeroes for the others.
    let word = |place| if place < count { registers.words[place] } else { 0 };
    Message { tag, words: core::array::from_fn(word) }
}

/// Whether a message has more than words in registers.
#[inline(always)]
pub fn is_more(tag: Tag) -> bool {
    tag.needs_page() || tag.capabilities() > 0
}

/// Whether a thread that waits has room for a message with `tag`.
#[inline]
pub fn has_room(receiver: &Tcb, tag: Tag) -> bool {
    fits(tag, receiver, receiver.accepts())
}

/// Whether a thread that accepts so many capabilities has.
#[inline]
pub fn fits(tag: Tag, receiver: &Tcb, accepts: usize) -> bool {
    tag.capabilities() <= accepts && (!tag.needs_page() || receiver.has_message_page())
}

/// The slots of the capabilities that a message with `tag` brings. `first` is its sender's fourth control word: where
/// the first one is.
#[inline(always)]
pub fn sent(tag: Tag, first: u64, page: Option<&MessagePage>) -> Slots {
    let mut slots = Slots::new();
    if tag.capabilities() > 0 {
        slots.push(CapSlot::from_bits(first));
    }
    if tag.capabilities() > 1
        && let Some(page) = page
    {
        let others = PAGE_SLOTS.take(tag.capabilities() - 1);
        slots.extend(others.map(|place| CapSlot::from_bits(page.word(place))));
    }
    slots
}

/// Tells a receiver where its new capabilities are: but for the first one's slot, which this gives, in its page.
#[inline(always)]
pub fn tell_slots(slots: &Slots, page: Option<&MessagePage>) -> CapSlot {
    let [first, others @ ..] = &slots[..] else { return CapSlot::NULL };
    if !others.is_empty()
        && let Some(page) = page
    {
        for (place, slot) in PAGE_SLOTS.zip(others) {
            page.set_word(place, slot.bits());
        }
    }
    *first
}

/// A partner of a transfer, for whose registers the caller has a proof.
pub struct Party<'a> {
    thread: &'a Tcb,
    page: Option<&'a MessagePage>,
}

impl<'a> From<&'a Current> for Party<'a> {
    fn from(current: &'a Current) -> Self {
        Self { thread: current, page: current.message_page() }
    }
}

impl<'a> From<&'a Claim> for Party<'a> {
    fn from(claim: &'a Claim) -> Self {
        Self { thread: claim.thread(), page: claim.message_page() }
    }
}

/// Moves what does not go from register to register, to one that has room for it. `first` is the sender's fourth
/// control word. Gives the receiver's: where its first capability is.
///
/// # Errors
/// Those of [`passing::pass`]. Nothing has changed then.
pub fn pass(tag: Tag, first: u64, from: &Party<'_>, to: &Party<'_>) -> Result<CapSlot, Error> {
    let mut came = CapSlot::NULL;
    if tag.capabilities() > 0 {
        let (source, target) = (&from.thread.process.table, &to.thread.process.table);
        let sent = sent(tag, first, from.page);
        let passed =
            to.thread.with_reserved(|reserved| passing::pass(source, &sent, target, reserved))?;
        came = tell_slots(&passed, to.page);
    }
    if tag.is_long()
        && let (Some(from), Some(to)) = (from.page, to.page)
    {
        copy_long(tag, from, to);
    }
    Ok(came)
}

/// Copies the words of a long message that registers have no room for, from the sender's page to the receiver's.
#[inline(always)]
pub fn copy_long(tag: Tag, from: &MessagePage, to: &MessagePage) {
    from.copy_words(to, REGISTER_WORDS..tag.words());
}

/// What a receiver finds: badge, tag, what it is, its first capability, and the words.
pub fn delivered(badge: u64, message: &Message, sending: Sending, first: CapSlot) -> Registers {
    let marks = match sending {
        Sending::Message => 0,
        Sending::Call => IS_CALL,
        Sending::Fault => IS_CALL | IS_FAULT,
    };
    let control = [badge, message.tag.delivered().bits(), marks, first.bits()];
    Registers { control, words: message.words }
}

/// What a caller finds: the reply's tag, its first capability, and the words.
pub fn replied(message: &Message, first: CapSlot) -> Registers {
    let control = [0, message.tag.delivered().bits(), 0, first.bits()];
    Registers { control, words: message.words }
}
