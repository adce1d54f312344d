//! What of a message arrives: all that was sent, and nothing else.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use guests::{
    children,
    raw::{self, Left, NOISE},
    suite,
    threads::{self, MIDDLE, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Rights,
    abi::{Registers, Syscall, Tag},
    capability::copy_to,
    endpoint::reply,
};

suite! {
    on "pinned general": [
        every_length_arrives_where_the_receiver_waits,
        every_length_arrives_where_the_sender_waits,
        every_length_arrives_by_reply_receive,
        every_length_arrives_between_processes,
        labels_arrive_whole,
        badges_tell_capabilities_apart,
    ],
    roles: [sender, receiver],
}

const BADGE: u64 = 0xbad9_e000_0000_0001;
const NEVER: u64 = u64::MAX;

/// One message of a sweep: its label, how it is sent, its length, and its reply's.
#[derive(Clone, Copy, Debug)]
struct Way {
    number: u32,
    syscall: Syscall,
    length: usize,
    reply: usize,
}

/// By send and by call, every length, every length of the reply.
fn ways() -> impl Iterator<Item = Way> {
    let sends = (0..=8).map(|length| (Syscall::Send, length, 0));
    let calls = (0..=8).flat_map(|length| (0..=8).map(move |reply| (Syscall::Call, length, reply)));
    let numbered = (1..).zip(sends.chain(calls));
    numbered.map(|(number, (syscall, length, reply))| Way { number, syscall, length, reply })
}

/// Eight words, none of them zero.
fn words(label: u32) -> [u64; 8] {
    core::array::from_fn(|place| u64::from(label) << 32 | 0xf00 | place as u64)
}

/// What of them arrives.
fn arriving(label: u32, length: usize) -> [u64; 8] {
    let mut arriving = words(label);
    arriving[length..].fill(0);
    arriving
}

impl Way {
    fn tag(self) -> u64 {
        Tag::new(self.number, self.length).unwrap().bits()
    }

    fn reply_tag(self) -> u64 {
        Tag::new(!self.number, self.reply).unwrap().bits()
    }

    /// What the receiver must find: nothing but the message.
    fn received(self) -> Left {
        let is_call = (self.syscall == Syscall::Call).into();
        let words = arriving(self.number, self.length);
        Left::well(Registers { control: [BADGE, self.tag(), is_call, 0], words })
    }

    /// What the sender must find.
    fn answered(self) -> Left {
        if self.syscall == Syscall::Send {
            return Left::well(Registers::default());
        }
        let words = arriving(!self.number, self.reply);
        Left::well(Registers { control: [0, self.reply_tag(), 0, 0], words })
    }
}

/// Sends all ways, each after `before`, with something in every register.
fn send_all(endpoint: CapSlot, before: fn()) {
    for way in ways() {
        before();
        let registers = raw::no_answer(endpoint, way.tag(), NEVER, words(way.number));
        assert_eq!(raw::call(way.syscall, registers), way.answered(), "{way:?}");
    }
}

/// Receives all ways, each after `before`, and answers the calls.
fn receive_all(endpoint: CapSlot, before: fn()) {
    for way in ways() {
        before();
        let registers = raw::no_answer(endpoint, 0, NEVER, NOISE.words);
        assert_eq!(raw::call(Syscall::Receive, registers), way.received(), "{way:?}");
        if way.syscall == Syscall::Call {
            let control = [0, way.reply_tag(), NOISE.control[2], NOISE.control[3]];
            let registers = Registers { control, words: words(!way.number) };
            let nothing = Left::well(Registers::default());
            assert_eq!(raw::call(Syscall::Reply, registers), nothing, "{way:?}");
        }
    }
}

fn sender() {
    send_all(granted(0).slot(), || ());
}

fn receiver() {
    receive_all(granted(0).slot(), || ());
}

/// A capability to send with, which stays open.
fn badged(endpoint: &Endpoint) -> CapSlot {
    copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, BADGE).unwrap()
}

/// Receiver first: every message length by send and call, with every length of the reply, arrives
/// exactly, and of the partner's other registers nothing.
fn every_length_arrives_where_the_receiver_waits() {
    let endpoint = Endpoint::create().unwrap();
    let slot = badged(&endpoint);
    // The sender is less urgent than this thread, so it comes when this one waits.
    let sender = threads::at(MIDDLE, move || send_all(slot, || ()));
    receive_all(endpoint.slot(), || ());
    sender.join().unwrap();
}

/// Sender first: the same.
fn every_length_arrives_where_the_sender_waits() {
    let endpoint = Endpoint::create().unwrap();
    let slot = badged(&endpoint);
    let sender = threads::at(MIDDLE, move || send_all(slot, || ()));
    receive_all(endpoint.slot(), settle);
    sender.join().unwrap();
}

/// Answer and next message in one step: the same.
fn every_length_arrives_by_reply_receive() {
    let endpoint = Endpoint::create().unwrap();
    let slot = badged(&endpoint);
    let sender = threads::at(MIDDLE, move || send_all(slot, || ()));
    let mut owed: Option<Way> = None;
    for way in ways() {
        let left = match owed {
            Some(last) => {
                let (tag, words) = (last.reply_tag(), words(!last.number));
                let registers = raw::operation(endpoint.slot(), tag, NEVER, words);
                raw::call(Syscall::ReplyReceive, registers)
            }
            None => {
                let registers = raw::operation(endpoint.slot(), 0, NEVER, NOISE.words);
                raw::call(Syscall::Receive, registers)
            }
        };
        assert_eq!(left, way.received(), "{way:?}");
        owed = (way.syscall == Syscall::Call).then_some(way);
    }
    let last = owed.unwrap();
    let registers = raw::operation(CapSlot::NULL, last.reply_tag(), 0, words(!last.number));
    assert_eq!(raw::call(Syscall::Reply, registers).code, 0);
    sender.join().unwrap();
}

/// The same between processes: either side the child, either side first.
fn every_length_arrives_between_processes() {
    for before in [settle as fn(), || ()] {
        let endpoint = Endpoint::create().unwrap();
        let sender = children::start("sender", |s| s.grant(endpoint.slot(), Rights::SEND, BADGE));
        receive_all(endpoint.slot(), before);
        children::succeed(&sender);

        let own = endpoint.copy(Rights::SEND, BADGE).unwrap();
        let receiver =
            children::start("receiver", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0));
        send_all(own.slot(), before);
        children::succeed(&receiver);
    }
}

/// Labels use all their 32 bits, in messages and in replies.
fn labels_arrive_whole() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    for number in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let caller = threads::caller(slot, number);
        assert_eq!(endpoint.receive().unwrap().message, label(number));
        reply(&label(!number)).unwrap();
        assert_eq!(caller.join().unwrap(), Ok(label(!number)));
    }
}

/// A message carries the badge of the capability that it was sent through, whoever waited first, and
/// none without one.
fn badges_tell_capabilities_apart() {
    let endpoint = Endpoint::create().unwrap();
    for badge in [0, 1, 0x8000_0000_0000_0000, u64::MAX] {
        let badged = endpoint.copy(Rights::SEND, badge).unwrap();
        let slot = badged.slot();
        for before in [settle as fn(), || ()] {
            let sender = threads::at(MIDDLE, move || {
                let endpoint = threads::endpoint(slot);
                endpoint.send(&label(1)).unwrap();
                endpoint.call(&label(2)).unwrap();
            });
            for is_call in [false, true] {
                before();
                let received = endpoint.receive().unwrap();
                assert_eq!((received.badge, received.is_call), (badge, is_call));
            }
            reply(&label(3)).unwrap();
            sender.join().unwrap();
        }
    }
}
