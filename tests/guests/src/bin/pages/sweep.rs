//! Messages of all lengths, and what must stand in registers and pages before and after each.
#![forbid(unsafe_code)]

use guests::raw::{self, Left, NOISE};
use orbital_user::{
    CapSlot, Error, MessagePage,
    abi::{
        Registers, Syscall, Tag,
        message::{MAX_WORDS, REGISTER_WORDS},
    },
    message_page::ENTRIES,
};

pub const BADGE: u64 = 0xbad9_e000_0000_0001;
pub const NEVER: u64 = u64::MAX;

/// The lengths where something changes.
pub const EDGES: [usize; 10] = [0, 1, 7, 8, 9, 63, 64, 65, 495, 496];

/// One message of a sweep: its label, how it is sent, its length, and its reply's.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    number: u32,
    syscall: Syscall,
    length: usize,
    reply: usize,
}

/// By send, and by call with a reply of another length: what of it a message leaves free is the reply's.
pub fn ways(lengths: impl Iterator<Item = usize>) -> impl Iterator<Item = Way> {
    let both = lengths.flat_map(|length| {
        [(Syscall::Send, length, 0), (Syscall::Call, length, MAX_WORDS - length)]
    });
    let numbered = (1..).zip(both);
    numbered.map(|(number, (syscall, length, reply))| Way { number, syscall, length, reply })
}

/// Every length.
pub fn all() -> impl Iterator<Item = Way> {
    ways(0..=MAX_WORDS)
}

/// The lengths where something changes, each with a reply as long and with none of its lengths.
pub fn edges() -> impl Iterator<Item = Way> {
    ways(EDGES.into_iter())
}

/// Word `place` of what is labelled so; never zero, and nowhere else.
fn word(label: u32, place: usize) -> u64 {
    u64::from(label) << 32 | 0xf000 | place as u64
}

/// The first words of a message, the others of which stand in the page, which tells nothing else.
fn prepare(page: &MessagePage, label: u32) -> [u64; REGISTER_WORDS] {
    for (place, entry) in page.entries().iter().enumerate() {
        entry.set(word(label, place));
    }
    core::array::from_fn(|place| word(label, place))
}

/// Checks that a page tells `label` where words of a message have come, as many as it has, and else `before`.
#[track_caller]
fn check(page: &MessagePage, before: u32, (label, length): (u32, usize), way: Way) {
    for (place, entry) in page.entries().iter().enumerate() {
        let has_come = (REGISTER_WORDS..length).contains(&place);
        let expected = word(if has_come { label } else { before }, place);
        assert_eq!(entry.get(), expected, "entry {place}, {way:?}");
    }
    assert_eq!(page.entries().len(), ENTRIES);
}

/// What of a message's words arrives in registers.
fn arriving(label: u32, length: usize) -> [u64; REGISTER_WORDS] {
    core::array::from_fn(|place| if place < length { word(label, place) } else { 0 })
}

impl Way {
    /// What the page of its receiver tells before.
    fn receiver(self) -> u32 {
        self.number ^ 0x5000_0000
    }

    /// The label of its answer.
    fn answer(self) -> u32 {
        !self.number
    }

    fn tag(self) -> u64 {
        Tag::new(self.number, self.length).unwrap().bits()
    }

    fn reply_tag(self) -> u64 {
        Tag::new(self.answer(), self.reply).unwrap().bits()
    }

    fn is_call(self) -> bool {
        self.syscall == Syscall::Call
    }

    /// What the receiver must find: nothing but the message.
    fn received(self) -> Left {
        let words = arriving(self.number, self.length);
        let control = [BADGE, self.tag(), self.is_call().into(), 0];
        Left::well(Registers { control, words })
    }

    /// What the sender must find.
    fn answered(self) -> Left {
        if !self.is_call() {
            return Left::well(Registers::default());
        }
        let words = arriving(self.answer(), self.reply);
        Left::well(Registers { control: [0, self.reply_tag(), 0, 0], words })
    }
}

/// Sends all `ways`, each after `before`, with something in every register and in all of the page.
pub fn send(endpoint: CapSlot, ways: impl Iterator<Item = Way>, mut before: impl FnMut()) {
    let page = MessagePage::of_thread().unwrap();
    for way in ways {
        before();
        let words = prepare(&page, way.number);
        let registers = raw::operation(endpoint, way.tag(), NEVER, words);
        assert_eq!(raw::call(way.syscall, registers), way.answered(), "{way:?}");
        let reply = if way.is_call() { way.reply } else { 0 };
        check(&page, way.number, (way.answer(), reply), way);
    }
}

/// How calls are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// By an answer alone.
    Apart,
    /// By an answer and the wait for the next message, in one step.
    Together,
}

/// Receives all `ways`, each after `before`, and answers the calls.
pub fn receive(
    endpoint: CapSlot,
    ways: impl Iterator<Item = Way>,
    answers: Answers,
    mut before: impl FnMut(),
) {
    let page = MessagePage::of_thread().unwrap();
    let mut owed: Option<Way> = None;
    for way in ways {
        before();
        let left = match owed {
            Some(last) => {
                // What it has sent must not be found in place of what comes.
                let words = prepare(&page, last.answer());
                let registers = raw::operation(endpoint, last.reply_tag(), NEVER, words);
                raw::call(Syscall::ReplyReceive, registers)
            }
            None => {
                let words = prepare(&page, way.receiver());
                let registers = raw::operation(endpoint, 0, NEVER, words);
                raw::call(Syscall::Receive, registers)
            }
        };
        let told = owed.map_or(way.receiver(), Way::answer);
        assert_eq!(left, way.received(), "{way:?}");
        check(&page, told, (way.number, way.length), way);
        owed = way.is_call().then_some(way);
        if answers == Answers::Apart
            && let Some(way) = owed.take()
        {
            reply(&page, way);
        }
    }
    owed.inspect(|way| reply(&page, *way));
}

fn reply(page: &MessagePage, way: Way) {
    let words = prepare(page, way.answer());
    let control = [CapSlot::NULL.bits(), way.reply_tag(), NOISE.control[2], NOISE.control[3]];
    let left = raw::call(Syscall::Reply, Registers { control, words });
    assert_eq!(left, Left::well(Registers::default()), "{way:?}");
    check(page, way.answer(), (0, 0), way);
}

/// A word too many is refused everywhere, and nobody hears of it.
pub fn one_too_many(endpoint: CapSlot) {
    let tag = (MAX_WORDS as u64 + 1) << 32;
    for syscall in [Syscall::Send, Syscall::Call, Syscall::Reply, Syscall::ReplyReceive] {
        let registers = raw::operation(endpoint, tag, NEVER, NOISE.words);
        raw::refuse(syscall, registers, Error::InvalidMessage);
    }
}
