//! A crowd: a hundred clients, each a process of its own, and one server.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec, vec::Vec};

use guests::{
    children,
    cpus::{bit, count, scaled},
    option, own_thread, suite,
    threads::{MIDDLE, granted},
};
use orbital_user::{
    Endpoint, Message, Rights,
    endpoint::reply,
    spawn::{Child, Spawn},
};

suite! {
    on "cpus=1,2,4 memory=512M timeout=300": [every_call_is_answered_once],
    on "pinned memory=512M timeout=300": [equals_are_served_in_the_order_of_their_calls],
    roles: [client],
}

const CLIENTS: usize = 100;
/// Of all clients together.
const CALLS: u64 = 200_000;
/// How many of them have the same priority, where priorities differ.
const EQUALS: usize = 20;

/// Calls as often as it is told, and has each answer before the next.
fn client() {
    let [calls, own]: [u64; 2] = ["calls", "own"].map(|key| option(key).unwrap().parse().unwrap());
    let server = granted(0);
    for number in 0..calls {
        let call = Message::new(own as u32, &[number]).unwrap();
        let answer = Message::new(own as u32, &[number, !number, own]).unwrap();
        assert_eq!(server.call(&call), Ok(answer));
    }
}

/// Makes the clients, who do not run yet. A client's badge is its number, counted from 1.
fn clients(server: &Endpoint, calls: u64, priority: impl Fn(usize) -> u8) -> Vec<Child> {
    let make = |own: usize| {
        let arguments = format!("role=client calls={calls} own={own}");
        Spawn::new("client")
            .arguments(&arguments)
            .priority(priority(own))
            .grant(server.slot(), Rights::SEND, own as u64)
            .prepare(children::own_file())
            .expect("a client")
    };
    (1..=CLIENTS).map(make).collect()
}

/// Answers `total` calls; `check` is told whose each one is, by its badge.
fn serve(server: &Endpoint, total: u64, mut check: impl FnMut(usize)) {
    let mut next = vec![0; CLIENTS + 1];
    for _ in 0..total {
        let call = server.receive().expect("a call");
        let own = call.badge as usize;
        assert!(call.is_call);
        assert_eq!(call.message, Message::new(own as u32, &[next[own]]).unwrap());
        check(own);
        let answer = Message::new(own as u32, &[next[own], !next[own], own as u64]).unwrap();
        next[own] += 1;
        reply(&answer).expect("a caller that waits");
    }
}

/// From all CPUs: each call comes once and in its client's order, and each answer goes to whoever has called.
fn every_call_is_answered_once() {
    let server = Endpoint::create().unwrap();
    let calls = scaled(CALLS) / CLIENTS as u64;
    let clients = clients(&server, calls, |_| MIDDLE);
    for (place, client) in clients.iter().enumerate() {
        client.thread.set_affinity(bit(place % count())).unwrap();
        client.thread.start().unwrap();
    }
    own_thread().set_priority(MIDDLE).unwrap();
    serve(&server, calls * CLIENTS as u64, |_| ());
    clients.iter().for_each(children::succeed);
    // Nobody calls once more than it should.
    assert!(server.try_receive().is_err());
}

/// Five priorities, all above the server's: whoever is answered calls again at once, and stands behind its equals.
fn equals_are_served_in_the_order_of_their_calls() {
    let server = Endpoint::create().unwrap();
    let calls = scaled(CALLS) / CLIENTS as u64;
    let class = |own: usize| (own - 1) / EQUALS;
    let clients = clients(&server, calls, |own| MIDDLE + 1 + class(own) as u8);
    // Not in the order of their numbers.
    for place in 0..CLIENTS {
        clients[place * 37 % CLIENTS].thread.start().unwrap();
    }
    own_thread().set_priority(MIDDLE).unwrap();
    let mut orders: Vec<Vec<usize>> = vec![Vec::new(); CLIENTS / EQUALS];
    serve(&server, calls * CLIENTS as u64, |own| orders[class(own)].push(own));
    for order in orders {
        let first = &order[..EQUALS];
        assert!(order.chunks(EQUALS).all(|round| round == first), "{first:?}");
        let mut members = first.to_vec();
        members.sort_unstable();
        members.dedup();
        assert_eq!(members.len(), EQUALS);
    }
    clients.iter().for_each(children::succeed);
}
