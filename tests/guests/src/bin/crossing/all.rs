//! All CPUs send and receive at the same time; and nothing is left of it all.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::{
    cpus::{self, leave_nothing, pairs, scaled},
    places,
    workers::{Own, Worker, parts},
};
use orbital_user::{CapSlot, Endpoint, Message};

use super::{
    deadlines::one_round_of_deadlines,
    kills::one_round_of_kills,
    record::{RECEIVED, SENT, WELL, begin, finish, length, on, outcome, shared},
    streams::{answers, calls},
};

fn echoes(own: &Own) {
    let endpoint = guests::threads::endpoint(own.slot());
    let mut received = endpoint.receive().expect("a call");
    while received.message.label() == 0 {
        received = endpoint.reply_receive(&received.message).expect("a call");
    }
}

/// Calls the server whose slot the argument names, the lower 48 bits, with numbers that are its own.
fn calls_with_its_numbers(own: &Own) {
    let slot = CapSlot::from_bits(own.argument & 0xffff_ffff_ffff);
    let (endpoint, me) = (guests::threads::endpoint(slot), own.part(3));
    for round in 0..length() {
        let message = Message::new(0, &[me as u64, round as u64]).unwrap();
        assert_eq!(endpoint.call(&message), Ok(message), "another's answer");
    }
}

/// A server on each CPU, and for each pair of CPUs a client that calls the other's.
pub(super) fn all_pairs_call_at_once() {
    let _endpoint = begin(scaled(500) as usize);
    let serve = |cpu| {
        let endpoint = Endpoint::create().unwrap();
        (on(cpu, echoes, endpoint.slot().bits()), endpoint)
    };
    let servers: Vec<_> = (0..cpus::count()).map(serve).collect();
    let call = |(number, (from, to)): (usize, (usize, usize))| {
        let slot = servers[to].1.slot().bits();
        assert_eq!(slot >> 48, 0, "a place for the number");
        on(from, calls_with_its_numbers, slot | (number as u64) << 48)
    };
    let clients: Vec<_> = pairs().enumerate().map(call).collect();
    clients.iter().for_each(finish);
    for (server, endpoint) in &servers {
        endpoint.send(&Message::new(1, &[]).unwrap()).unwrap();
        finish(server);
    }
}

fn sends_its_part(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    for number in (me..length()).step_by(all) {
        let sent = shared().send(&Message::new(0, &[number as u64]).unwrap());
        SENT.note(number, outcome(sent));
    }
}

fn receives_until_told(_: &Own) {
    loop {
        let received = shared().receive().expect("a message");
        let [number] = received.message.words() else { return };
        RECEIVED.note(*number as usize, WELL);
    }
}

/// Two senders and two receivers on each CPU use one endpoint: each message comes once.
pub(super) fn many_senders_and_receivers_share_an_endpoint() {
    let length = scaled(10_000) as usize;
    let endpoint = begin(length);
    let all = 2 * cpus::count();
    let start = |me: usize| on(me / 2, receives_until_told, 0);
    let receivers: Vec<Worker> = (0..all).map(start).collect();
    let start = |me: usize| on(me / 2, sends_its_part, parts(&[me, all]));
    let senders: Vec<Worker> = (0..all).map(start).collect();
    senders.iter().for_each(finish);
    for _ in &receivers {
        endpoint.send(&Message::new(1, &[]).unwrap()).unwrap();
    }
    receivers.iter().for_each(finish);
    assert_eq!((SENT.count(WELL), RECEIVED.count(WELL)), (length, length));
}

/// Whatever went wrong or well on the way, all is given back at the end.
pub(super) fn nothing_is_left() {
    places::pave(256 << 20);
    leave_nothing(2, || {
        for (from, to) in pairs() {
            let _endpoint = begin(20);
            let (server, client) = (on(to, answers, 0), on(from, calls, 0));
            finish(&client);
            finish(&server);
            one_round_of_kills(from, to);
            one_round_of_deadlines(from, to);
        }
    });
}
