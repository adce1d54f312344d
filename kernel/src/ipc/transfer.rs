//! What a message operation reads from a sender's registers and leaves in a receiver's. Everything
//! that can fail is decoded before anything is changed.
#![forbid(unsafe_code)]

use orbital_abi::{
    Message, Registers, Tag,
    message::{IS_CALL, IS_FAULT, REGISTER_WORDS},
};

use crate::{thread::Sending, vm::MessagePage};

/// The message with `tag` in a sender's `registers`; words behind its count are zero.
pub fn message(tag: Tag, registers: &Registers) -> Message {
    let mut words = [0; REGISTER_WORDS];
    let count = tag.register_words();
    words[..count].copy_from_slice(&registers.words[..count]);
    Message { tag, words }
}

/// Copies the words of a long message that registers have no room for, from the sender's page to the receiver's.
/// Both have one.
#[inline(always)]
pub fn copy_long(tag: Tag, from: Option<&MessagePage>, to: Option<&MessagePage>) {
    if let (Some(from), Some(to)) = (from, to) {
        from.copy_words(to, REGISTER_WORDS..tag.words());
    }
}

/// What a receiver finds: badge, tag, what it is, and the words.
pub fn delivered(badge: u64, message: &Message, sending: Sending) -> Registers {
    let marks = match sending {
        Sending::Message => 0,
        Sending::Call => IS_CALL,
        Sending::Fault => IS_CALL | IS_FAULT,
    };
    Registers { control: [badge, message.tag.bits(), marks, 0], words: message.words }
}

/// What a caller finds: the reply's tag and words.
pub fn replied(message: &Message) -> Registers {
    Registers { control: [0, message.tag.bits(), 0, 0], words: message.words }
}
