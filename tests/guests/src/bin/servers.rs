//! Servers: that call others, that share an endpoint, that are more or less urgent than who calls.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec::Vec};

use guests::{
    children, option, suite,
    threads::{self, MIDDLE, caller, granted, label, settle},
};
use orbital_user::{
    Endpoint, Message, Rights,
    endpoint::reply,
    server::{Next, serve},
    start::take_granted,
};

suite! {
    cases: [
        nested_calls_unwind,
        a_chain_of_threads_unwinds,
        two_servers_share_the_work,
        two_servers_answer_in_any_order,
        priorities_do_not_matter,
        a_process_calls_itself,
    ],
    roles: [relay],
}

const STOP: u32 = u32::MAX;

/// Appends its digit on the way down, asks the next, and appends it again on the way back.
fn relay() {
    let digit: u64 = option("digit").unwrap().parse().unwrap();
    let next = take_granted(1).map(|next| Endpoint::from_slot(next.into_slot()));
    serve(&granted(0), |request| {
        let append = |message: &Message| match message.words() {
            [number] => Message::new(message.label(), &[number * 10 + digit]).unwrap(),
            other => panic!("{other:?}"),
        };
        let mut answer = append(&request.message);
        if let Some(next) = &next {
            answer = append(&next.call(&answer).unwrap());
        }
        match answer.label() {
            STOP => Next::ReplyAndStop(answer),
            _ => Next::Reply(answer),
        }
    })
    .unwrap();
}

/// A calls B calls C calls D, each a process: the replies unwind in turn, whichever order the servers
/// were started in.
fn nested_calls_unwind() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let endpoints: [_; 3] = core::array::from_fn(|_| Endpoint::create().unwrap());
        let start = |place: usize| {
            let arguments = format!("digit={}", place + 1);
            children::start_with_arguments("relay", &arguments, |spawn| {
                let spawn = spawn.grant(endpoints[place].slot(), Rights::RECEIVE, 0);
                match endpoints.get(place + 1) {
                    Some(next) => spawn.grant(next.slot(), Rights::SEND, 0),
                    None => spawn,
                }
            })
        };
        let relays = order.map(|place| {
            let child = start(place);
            // Half of the orders with servers that wait, half with callers that do.
            if order[0] == 1 {
                settle();
            }
            child
        });
        for with in [1, 2, 3, STOP] {
            let zero = Message::new(with, &[0]).unwrap();
            let answer = Message::new(with, &[12321]).unwrap();
            assert_eq!(endpoints[0].call(&zero), Ok(answer), "{order:?}");
        }
        relays.iter().for_each(children::succeed);
    }
}

/// The same through 24 threads of one process, with mixed priorities.
fn a_chain_of_threads_unwinds() {
    const DEPTH: usize = 24;
    let endpoints: Vec<_> = (0..=DEPTH).map(|_| Endpoint::create().unwrap()).collect();
    let start = |place: usize| {
        let (own, next) = (endpoints[place].slot(), endpoints[place + 1].slot());
        threads::at((place * 37 % 255) as u8 + 1, move || {
            serve(&threads::endpoint(own), |request| {
                let answer = threads::endpoint(next).call(&request.message).unwrap();
                let more = Message::new(answer.label(), &[answer.words()[0] + 1]).unwrap();
                if more.label() == STOP { Next::ReplyAndStop(more) } else { Next::Reply(more) }
            })
        })
    };
    let relays: Vec<_> = (0..DEPTH).map(start).collect();
    let own = endpoints[DEPTH].slot();
    let last = threads::at(MIDDLE, move || {
        serve(&threads::endpoint(own), |request| match request.message.label() {
            STOP => Next::ReplyAndStop(request.message),
            _ => Next::Reply(request.message),
        })
    });
    for with in [1, 2, 3, STOP] {
        let message = Message::new(with, &[100]).unwrap();
        let answer = Message::new(with, &[100 + DEPTH as u64]).unwrap();
        assert_eq!(endpoints[0].call(&message), Ok(answer));
    }
    for relay in relays.into_iter().chain([last]) {
        assert_eq!(relay.join().unwrap(), Ok(()));
    }
}

/// Two servers on one endpoint take turns: each is served when it is first in line.
fn two_servers_share_the_work() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    for priority in [1, MIDDLE, 255] {
        let servers: Vec<_> = (0..2)
            .map(|number| {
                let server = threads::at(priority, move || {
                    serve(&threads::endpoint(slot), |request| match request.message.label() {
                        STOP => Next::ReplyAndStop(label(number)),
                        _ => Next::Reply(label(number)),
                    })
                });
                settle();
                server
            })
            .collect();
        for turn in 0..100 {
            assert_eq!(endpoint.call(&label(turn)), Ok(label(turn % 2)), "turn {turn}");
        }
        for number in 0..2 {
            assert_eq!(endpoint.call(&label(STOP)), Ok(label(number)));
        }
        for server in servers {
            assert_eq!(server.join().unwrap(), Ok(()));
        }
    }
}

/// Two servers hold a call each; they answer in any order, and each answer goes to its own caller.
fn two_servers_answer_in_any_order() {
    let work = Endpoint::create().unwrap();
    for order in [[0, 1], [1, 0]] {
        let gates: [_; 2] = core::array::from_fn(|_| Endpoint::create().unwrap());
        let servers = [0, 1].map(|number: usize| {
            let (work, gate) = (work.slot(), gates[number].slot());
            let server = threads::at(MIDDLE, move || {
                let received = threads::endpoint(work).receive().unwrap();
                assert_eq!(received.message, label(number as u32));
                threads::endpoint(gate).receive().unwrap();
                reply(&label(10 + number as u32))
            });
            settle();
            server
        });
        let mut callers = [0, 1].map(|number| Some(caller(work.slot(), number)));
        for number in order {
            assert!(callers.iter().flatten().all(threads::is_alive));
            gates[number].send(&label(0)).unwrap();
            let answer = callers[number].take().unwrap().join().unwrap();
            assert_eq!(answer, Ok(label(10 + number as u32)));
        }
        for server in servers {
            assert_eq!(server.join().unwrap(), Ok(()));
        }
    }
}

/// A client above its server, below it, and beside it, each of them started first: all calls are
/// answered.
fn priorities_do_not_matter() {
    let pairs = [(200, 100), (100, 200), (150, 150), (1, 255), (255, 1), (255, 255), (1, 1)];
    for (client, server) in pairs {
        for client_first in [false, true] {
            let endpoint = Endpoint::create().unwrap();
            let slot = endpoint.slot();
            let start_server = || {
                threads::at(server, move || {
                    serve(&threads::endpoint(slot), |request| match request.message.label() {
                        STOP => Next::ReplyAndStop(label(STOP)),
                        number => Next::Reply(label(!number)),
                    })
                })
            };
            let start_client = || {
                threads::at(client, move || {
                    let server = threads::endpoint(slot);
                    for number in 1..50 {
                        assert_eq!(server.call(&label(number)), Ok(label(!number)));
                    }
                    server.call(&label(STOP))
                })
            };
            let (client, server) = if client_first {
                let client = start_client();
                settle();
                (client, start_server())
            } else {
                let server = start_server();
                settle();
                (start_client(), server)
            };
            assert_eq!(client.join().unwrap(), Ok(label(STOP)));
            assert_eq!(server.join().unwrap(), Ok(()));
        }
    }
}

/// Receives a call with this label.
#[track_caller]
fn take(endpoint: &Endpoint, with: u32) {
    let received = endpoint.receive().unwrap();
    assert_eq!((received.message, received.is_call), (label(with), true));
}

/// A thread calls an endpoint of its own process, through the very capability by which another thread
/// receives; that one, owing a reply, calls back.
fn a_process_calls_itself() {
    let [forth, back] = [(); 2].map(|()| Endpoint::create().unwrap());
    let slots = [forth.slot(), back.slot()];
    let server = threads::at(MIDDLE, move || {
        let [forth, back] = slots.map(threads::endpoint);
        take(&forth, 1);
        assert_eq!(back.call(&label(2)), Ok(label(3)));
        reply(&label(4))
    });
    let second = threads::at(MIDDLE, move || {
        take(&threads::endpoint(slots[1]), 2);
        reply(&label(3))
    });
    assert_eq!(forth.call(&label(1)), Ok(label(4)));
    assert_eq!(server.join().unwrap(), Ok(()));
    assert_eq!(second.join().unwrap(), Ok(()));
}
