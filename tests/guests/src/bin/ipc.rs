//! Messages between processes: who meets whom, and what is refused.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    children,
    raw::{self, NOISE},
    suite,
    threads::{self, MIDDLE, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Message, Rights,
    abi::{Syscall, Tag},
    endpoint::reply,
    server::{Next, serve},
};

suite! {
    cases: [
        basic_ipc,
        the_more_urgent_senders_are_served_first,
        the_more_urgent_receivers_are_served_first,
        try_forms_never_wait,
        try_forms_find_who_waits,
        malformed_tags_are_refused,
        deadlines_that_have_passed_end_a_wait,
        each_operation_needs_its_right,
        checks_come_in_their_order,
    ],
    roles: [echo_server, echo_client],
}

const ECHO: u32 = 1;
const STOP: u32 = 2;
const NEVER: u64 = u64::MAX;

fn echo_server() {
    serve(&granted(0), |request| match request.message.label() {
        STOP => Next::ReplyAndStop(request.message),
        _ => Next::Reply(request.message),
    })
    .unwrap();
}

fn echo_client() {
    let server = granted(0);
    for count in 0..=8 {
        let words: [u64; 8] = core::array::from_fn(|word| (count * 100 + word) as u64);
        let message = Message::new(ECHO, &words[..count]).unwrap();
        assert_eq!(server.call(&message).unwrap(), message);
    }
    let stop = Message::new(STOP, &[]).unwrap();
    assert_eq!(server.call(&stop).unwrap(), stop);
}

/// An echo server and an echo client, each a process: every message length comes back as it was
/// sent, and both end with exit code 0.
fn basic_ipc() {
    let endpoint = Endpoint::create().unwrap();
    let server = children::start("echo_server", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0));
    let client = children::start("echo_client", |s| s.grant(endpoint.slot(), Rights::SEND, 0));
    children::succeed(&client);
    children::succeed(&server);
}

const PRIORITIES: [u8; 9] = [10, 200, MIDDLE, 254, 1, 254, MIDDLE, 10, MIDDLE];
/// Their order, by the places in the list above.
const ORDER: [u32; 9] = [3, 5, 1, 2, 6, 8, 0, 7, 4];

/// Senders and callers are served by their priorities, and equals in the order in which they came.
fn the_more_urgent_senders_are_served_first() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let send = |(number, priority): (u32, u8)| {
        let sender = threads::at(priority, move || {
            let endpoint = threads::endpoint(slot);
            match number % 2 {
                0 => endpoint.send(&label(number)),
                _ => endpoint.call(&label(number)).map(|answer| assert_eq!(answer, label(!number))),
            }
        });
        settle();
        sender
    };
    let senders: Vec<_> = (0..).zip(PRIORITIES).map(send).collect();
    for number in ORDER {
        let received = endpoint.receive().unwrap();
        assert_eq!((received.message, received.is_call), (label(number), number % 2 == 1));
        if received.is_call {
            reply(&label(!number)).unwrap();
        }
    }
    for sender in senders {
        assert_eq!(sender.join().unwrap(), Ok(()));
    }
}

/// Receivers are served in the order in which they came, whatever their priorities.
fn the_more_urgent_receivers_are_served_first() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let receive = |priority| {
        let receiver = threads::at(priority, move || threads::endpoint(slot).receive());
        settle();
        receiver
    };
    let receivers: Vec<_> = PRIORITIES.into_iter().map(receive).collect();
    for number in ORDER {
        endpoint.send(&label(number)).unwrap();
    }
    for (number, receiver) in (0..).zip(receivers) {
        assert_eq!(receiver.join().unwrap().unwrap().message, label(number));
    }
}

/// Nobody is there: no form waits, and none leaves anything behind that another would find.
fn try_forms_never_wait() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    for syscall in [Syscall::Send, Syscall::Call, Syscall::Receive, Syscall::Send] {
        let tag =
            if syscall == Syscall::Receive { Tag::default() } else { Tag::new(1, 8).unwrap() };
        let registers = raw::operation(slot, tag.bits(), 0, NOISE.words);
        raw::refuse(syscall, registers, Error::WouldBlock);
    }
    // One who waits on the same side is no partner, and keeps its place.
    let sender = threads::at(MIDDLE, move || threads::endpoint(slot).send(&label(5)));
    settle();
    assert_eq!(endpoint.try_send(&label(6)), Err(IpcError::WouldBlock));
    assert_eq!(endpoint.try_call(&label(7)), Err(IpcError::WouldBlock));
    assert_eq!(endpoint.receive().unwrap().message, label(5));
    assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    assert_eq!(sender.join().unwrap(), Ok(()));

    let receiver = threads::at(MIDDLE, move || threads::endpoint(slot).receive());
    settle();
    assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    endpoint.send(&label(8)).unwrap();
    assert_eq!(receiver.join().unwrap().unwrap().message, label(8));
}

/// A partner waits: every form succeeds as the waiting one does.
fn try_forms_find_who_waits() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let server = threads::at(MIDDLE, move || {
        serve(&threads::endpoint(slot), |request| match request.is_call {
            true => Next::Reply(label(!request.message.label())),
            false => Next::ReplyAndStop(label(0)),
        })
    });
    settle();
    for number in 0..20 {
        assert_eq!(endpoint.try_call(&label(number)), Ok(label(!number)));
    }
    assert_eq!(endpoint.try_send(&label(1)), Ok(()));
    assert_eq!(server.join().unwrap(), Ok(()));

    let sender = threads::at(MIDDLE, move || threads::endpoint(slot).send(&label(2)));
    settle();
    assert_eq!(endpoint.try_receive().unwrap().message, label(2));
    assert_eq!(sender.join().unwrap(), Ok(()));

    let caller = threads::caller(slot, 3);
    let received = endpoint.try_receive().unwrap();
    assert_eq!((received.message, received.is_call), (label(3), true));
    reply(&label(4)).unwrap();
    assert_eq!(caller.join().unwrap(), Ok(label(4)));
}

/// Runs `refused` while a receiver waits, then while this thread owes a reply: neither notices.
fn without_a_trace(refused: impl Fn(&Endpoint)) {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let receiver = threads::at(MIDDLE, move || threads::endpoint(slot).receive());
    settle();
    refused(&endpoint);
    endpoint.send(&label(1)).unwrap();
    assert_eq!(receiver.join().unwrap().unwrap().message, label(1));

    let caller = threads::caller(slot, 2);
    assert_eq!(endpoint.receive().unwrap().message, label(2));
    refused(&endpoint);
    assert!(threads::is_alive(&caller));
    reply(&label(3)).unwrap();
    assert_eq!(caller.join().unwrap(), Ok(label(3)));
    assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
}

/// A tag with more words than registers have room for, of a thread without a message page, with too many
/// capabilities, or with a bit that means nothing, is refused by every call that sends one, and nothing is sent.
fn malformed_tags_are_refused() {
    let long = (9..=511).map(|count: u64| count << 32);
    let many = (5..8).flat_map(|count: u64| [count << 41, count << 44]);
    let bits = (47..64).map(|bit| 1 << bit).chain(many);
    let tags: Vec<u64> = long.chain(bits).chain([u64::MAX]).collect();
    without_a_trace(|endpoint| {
        for tag in &tags {
            let calls = [Syscall::Send, Syscall::Call, Syscall::Reply, Syscall::ReplyReceive];
            for syscall in calls {
                let registers = raw::operation(endpoint.slot(), *tag, NEVER, NOISE.words);
                raw::refuse(syscall, registers, Error::InvalidMessage);
            }
        }
    });
}

/// A deadline that has passed ends a wait that nobody ended before, and nothing is sent.
fn deadlines_that_have_passed_end_a_wait() {
    let endpoint = Endpoint::create().unwrap();
    for deadline in [1, 2, 1 << 10] {
        for syscall in [Syscall::Send, Syscall::Call, Syscall::Receive] {
            let registers = raw::operation(endpoint.slot(), 0, deadline, NOISE.words);
            raw::refuse(syscall, registers, Error::TimedOut);
        }
    }
    assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    assert_eq!(endpoint.try_send(&label(1)), Err(IpcError::WouldBlock));
}

/// Send and call need `SEND`, receive and reply_receive `RECEIVE`: with every set of rights.
fn each_operation_needs_its_right() {
    let endpoint = Endpoint::create().unwrap();
    let all = [Rights::SEND, Rights::RECEIVE, Rights::GRANT];
    for set in 0..8 {
        let has = |place: &usize| set >> place & 1 == 1;
        let rights: Rights = (0..3).filter(has).map(|place| all[place]).collect();
        let copy = endpoint.copy(rights, 0).unwrap();
        for (syscall, needed, error) in [
            (Syscall::Send, Rights::SEND, Error::WouldBlock),
            (Syscall::Call, Rights::SEND, Error::WouldBlock),
            (Syscall::Receive, Rights::RECEIVE, Error::WouldBlock),
            (Syscall::ReplyReceive, Rights::RECEIVE, Error::NoReplyOwed),
        ] {
            let error = if rights.contains(needed) { error } else { Error::MissingRights };
            raw::refuse(syscall, raw::operation(copy.slot(), 0, 0, NOISE.words), error);
        }
    }
}

/// Of several mistakes the first in the documented order is told.
fn checks_come_in_their_order() {
    let endpoint = Endpoint::create().unwrap();
    let (nothing, powerless) = (CapSlot::NULL, endpoint.copy(Rights::empty(), 0).unwrap());
    for syscall in [Syscall::Send, Syscall::Call, Syscall::ReplyReceive] {
        let refuse = |slot, tag, deadline, error| {
            raw::refuse(syscall, raw::operation(slot, tag, deadline, NOISE.words), error);
        };
        refuse(nothing, u64::MAX, 1, Error::InvalidMessage);
        refuse(nothing, 0, 0, Error::EmptySlot);
        refuse(powerless.slot(), 0, 0, Error::MissingRights);
    }
    let receive = |slot, deadline, error| {
        let registers = raw::operation(slot, 0, deadline, NOISE.words);
        raw::refuse(Syscall::Receive, registers, error);
    };
    receive(nothing, 1, Error::EmptySlot);
    receive(powerless.slot(), 0, Error::MissingRights);
    let reply = |tag, error| {
        raw::refuse(Syscall::Reply, raw::operation(nothing, tag, 1, NOISE.words), error);
    };
    reply(u64::MAX, Error::InvalidMessage);
    reply(0, Error::NoReplyOwed);
}
