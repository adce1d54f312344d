//! One sender and one receiver.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::SeqCst;

use guests::{
    cpus::{pairs, scaled},
    scene::COUNT,
    workers::Own,
};
use orbital_user::Message;

use super::record::{RECEIVED, SENT, WELL, begin, finish, length, on, outcome, shared};

/// Words of message `number` that no other has.
fn words(number: usize, count: usize) -> [u64; 8] {
    core::array::from_fn(
        |word| {
            if word < count { (number as u64 + 1) << 8 | word as u64 } else { 0 }
        },
    )
}

pub(super) fn answers(_: &Own) {
    let mut received = shared().receive().expect("a call");
    loop {
        assert!(received.is_call);
        let [number] = received.message.words() else { panic!("a number") };
        RECEIVED.note(*number as usize, WELL);
        let answer = Message::new(1, &[!number]).unwrap();
        if *number as usize == length() - 1 {
            return orbital_user::endpoint::reply(&answer).expect("the caller waits");
        }
        received = shared().reply_receive(&answer).expect("a call");
    }
}

pub(super) fn calls(_: &Own) {
    for number in 0..length() {
        let message = Message::new(0, &[number as u64]).unwrap();
        let answer = shared().call(&message);
        assert_eq!(answer.map(|answer| answer.words()[0]), Ok(!(number as u64)));
        SENT.note(number, WELL);
    }
}

/// A thread on one CPU calls one on another, again and again: each call comes once, and has its answer.
pub(super) fn calls_are_answered_on_each_pair() {
    let length = scaled(2000) as usize;
    for (from, to) in pairs() {
        let _endpoint = begin(length);
        let (server, client) = (on(to, answers, 0), on(from, calls, 0));
        finish(&client);
        finish(&server);
        assert_eq!((SENT.count(WELL), RECEIVED.count(WELL)), (length, length), "{from} to {to}");
    }
}

fn sends(_: &Own) {
    for number in 0..length() {
        let sent = shared().send(&Message::new(0, &[number as u64]).unwrap());
        SENT.note(number, outcome(sent));
    }
}

fn receives_in_order(_: &Own) {
    for number in 0..length() {
        let received = shared().receive().expect("a message");
        assert_eq!((received.message.words(), received.is_call), (&[number as u64][..], false));
        RECEIVED.note(number, WELL);
    }
}

/// A thread sends numbers; the receiver finds them all, in their order, whoever was first.
pub(super) fn sends_arrive_in_their_order_on_each_pair() {
    let length = scaled(2000) as usize;
    for (from, to) in pairs() {
        let _endpoint = begin(length);
        let (receiver, sender) = (on(to, receives_in_order, 0), on(from, sends, 0));
        finish(&sender);
        finish(&receiver);
        assert_eq!((SENT.count(WELL), RECEIVED.count(WELL)), (length, length), "{from} to {to}");
    }
}

fn echoes(_: &Own) {
    let mut received = shared().receive().expect("a call");
    while received.message.label() == 0 {
        received = shared().reply_receive(&received.message).expect("a call");
    }
}

fn calls_with_each_length(_: &Own) {
    for number in 0..length() {
        let count = number % 9;
        let sent = words(number, count);
        let message = Message::new(0, &sent[..count]).unwrap();
        assert_eq!(shared().call(&message), Ok(message), "{count} words");
        COUNT.fetch_add(1, SeqCst);
    }
    shared().send(&Message::new(1, &[]).unwrap()).expect("the server's end");
}

/// Calls and answers of 0 to 8 words arrive whole.
pub(super) fn every_message_length_crosses_each_pair() {
    for (from, to) in pairs() {
        COUNT.store(0, SeqCst);
        let _endpoint = begin(9 * 10);
        let (server, client) = (on(to, echoes, 0), on(from, calls_with_each_length, 0));
        finish(&client);
        finish(&server);
        assert_eq!(COUNT.load(SeqCst), 90);
    }
}
