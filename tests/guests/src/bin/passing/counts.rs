//! Every count, and every mistake.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use guests::{
    children,
    cpus::{be_equal, bit, pairs},
    raw::{self, NOISE},
    threads::{self, MIDDLE, granted, is_alive, label, settle},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError, Message, Notification, Rights,
    abi::{ObjectKind, Syscall},
    capability::{Capability, copy_to, inspect, revoke},
    endpoint::reply,
    passing::reply_with,
    thread::JoinHandle,
};

/// What the notifications of a case may be used for, each with a badge of its own.
const RIGHTS: Rights = Rights::SEND.union(Rights::GRANT);

fn badge(number: usize) -> u64 {
    1 << number
}

/// Four capabilities to a notification, which stay open, to be told apart by their badges.
fn four(notification: &Notification) -> [CapSlot; 4] {
    core::array::from_fn(|number| {
        copy_to(notification.slot(), CapSlot::NULL, RIGHTS, badge(number)).unwrap()
    })
}

/// Checks what came: the first of four.
#[track_caller]
fn check(came: &[Capability], count: usize) {
    assert_eq!(came.len(), count);
    for (number, one) in came.iter().enumerate() {
        let found = inspect(one.slot()).unwrap();
        assert_eq!((found.kind, found.rights), (Some(ObjectKind::Notification), RIGHTS));
        assert_eq!(found.badge, badge(number));
    }
}

/// Takes calls with each count, and gives what came back, in the order in which it came, until one brings none and has
/// label 1.
fn serve(endpoint: &Endpoint) {
    let mut next = endpoint.receive_with(4);
    while let Ok((received, came)) = next {
        let is_last = received.message.label() == 1;
        if !is_last {
            check(&came, received.message.label() as usize - 10);
        }
        let slots: Vec<_> = came.iter().map(Capability::slot).collect();
        if is_last {
            reply(&label(2)).unwrap();
            return;
        }
        next = endpoint.reply_receive_with(&label(3), &slots, 4);
    }
}

/// Calls with each count, and takes back as many.
fn call_all(endpoint: &Endpoint) {
    let notification = Notification::create().unwrap();
    let own = four(&notification);
    for count in [0, 1, 2, 3, 4, 2, 0] {
        let (answer, came) =
            endpoint.call_with(&label(10 + count as u32), &own[..count], 4).unwrap();
        assert_eq!(answer.label(), 3);
        check(&came, count);
        for one in &came {
            let bit = inspect(one.slot()).unwrap().badge;
            raw_signal(one.slot(), bit);
            assert_eq!(notification.wait(), Ok(bit));
        }
    }
    endpoint.call(&label(1)).unwrap();
    for slot in own {
        drop(Capability::from_slot(slot));
    }
}

fn raw_signal(slot: CapSlot, bits: u64) {
    let left = raw::call(Syscall::NotificationSignal, raw::control([slot.bits(), bits]));
    assert_eq!(left.code, 0);
}

pub fn every_count_goes_each_way() {
    for before in [settle as fn(), || ()] {
        let endpoint = Endpoint::create().unwrap();
        let slot = endpoint.slot();
        let server = threads::at(MIDDLE, move || serve(&threads::endpoint(slot)));
        before();
        call_all(&endpoint);
        server.join().unwrap();
        // Sender first.
        let client = threads::at(MIDDLE, move || call_all(&threads::endpoint(slot)));
        settle();
        serve(&endpoint);
        client.join().unwrap();
    }
}

/// The server's part, as a process.
pub fn echo() {
    serve(&granted(0));
}

pub fn every_count_goes_between_processes() {
    let endpoint = Endpoint::create().unwrap();
    let server = children::start("echo", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0));
    call_all(&endpoint);
    children::succeed(&server);
}

pub fn counts_go_on_each_pair_of_cpus() {
    fn serves(own: &Own) {
        serve(&threads::endpoint(own.slot()));
    }
    be_equal();
    for (from, to) in pairs() {
        let endpoint = Endpoint::create().unwrap();
        let server = Worker::on(bit(to), MIDDLE, serves, endpoint.slot().bits());
        guests::own_thread().set_affinity(bit(from)).unwrap();
        call_all(&endpoint);
        assert_eq!(server.wait(), Ok(ExitReason::Exited(0)));
    }
}

/// A thread that accepts so many, and waits by now.
fn accepts(slot: CapSlot, count: usize) -> JoinHandle<(u32, usize)> {
    let thread = threads::at(MIDDLE, move || {
        let (received, came) = threads::endpoint(slot).receive_with(count).unwrap();
        (received.message.label(), came.len())
    });
    settle();
    thread
}

pub fn mistakes_keep_all_from_going() {
    let endpoint = Endpoint::create().unwrap();
    let notification = Notification::create().unwrap();
    let own = four(&notification);
    let bare = copy_to(own[0], CapSlot::NULL, Rights::SEND, 0).unwrap();
    let stale = copy_to(own[0], CapSlot::NULL, Rights::SEND, 0).unwrap();
    drop(Capability::from_slot(stale));
    let receiver = accepts(endpoint.slot(), 4);
    for (bad, error) in [
        (bare, IpcError::MissingRights),
        (stale, IpcError::StaleCapability),
        (CapSlot::NULL, IpcError::EmptySlot),
        (CapSlot::from_bits(u64::MAX), IpcError::EmptySlot),
    ] {
        for place in 0..4 {
            let mut sent = own;
            sent[place] = bad;
            for count in place + 1..=4 {
                assert_eq!(endpoint.send_with(&label(5), &sent[..count]), Err(error));
                let called = endpoint.call_with(&label(5), &sent[..count], 0);
                assert_eq!(called.err(), Some(error));
            }
        }
    }
    settle();
    assert!(is_alive(&receiver));
    endpoint.send_with(&label(6), &own).unwrap();
    assert_eq!(receiver.join(), Ok((6, 4)));
    // An answer with a mistake is still owed.
    let slot = endpoint.slot();
    let caller = threads::at(MIDDLE, move || {
        let called = threads::endpoint(slot).call_with(&label(7), &[], 2);
        called.map(|(answer, came)| (answer.label(), came.len()))
    });
    endpoint.receive().unwrap();
    assert_eq!(reply_with(&label(8), &[own[0], bare]), Err(IpcError::MissingRights));
    assert_eq!(reply_with(&label(8), &own[..3]), Err(IpcError::NoRoom));
    reply_with(&label(8), &own[..2]).unwrap();
    assert_eq!(caller.join(), Ok(Ok((8, 2))));
}

pub fn too_many_are_refused() {
    let endpoint = Endpoint::create().unwrap();
    let notification = Notification::create().unwrap();
    let own = four(&notification);
    let five = [own[0]; 5];
    assert_eq!(endpoint.send_with(&label(1), &five), Err(IpcError::InvalidMessage));
    assert_eq!(endpoint.receive_with(5).err(), Some(IpcError::InvalidMessage));
    for count in 5..8_u64 {
        for syscall in [Syscall::Send, Syscall::Call, Syscall::Reply, Syscall::ReplyReceive] {
            for tag in [count << 41, count << 44] {
                let registers = raw::operation(endpoint.slot(), tag, 0, NOISE.words);
                raw::refuse(syscall, registers, Error::InvalidMessage);
            }
        }
        let registers = raw::operation(endpoint.slot(), count << 44, 0, NOISE.words);
        raw::refuse(Syscall::Receive, registers, Error::InvalidMessage);
    }
    for accepted in 0..4 {
        let receiver = accepts(endpoint.slot(), accepted);
        for count in accepted + 1..=4 {
            let sent = &own[..count];
            assert_eq!(endpoint.send_with(&label(1), sent), Err(IpcError::NoRoom));
            assert_eq!(endpoint.call_with(&label(1), sent, 0).err(), Some(IpcError::NoRoom));
        }
        settle();
        assert!(is_alive(&receiver));
        endpoint.send_with(&label(2), &own[..accepted]).unwrap();
        assert_eq!(receiver.join(), Ok((2, accepted)));
    }
}

pub fn rights_and_badges_go_as_they_are() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let server = threads::at(MIDDLE, move || {
        let endpoint = threads::endpoint(slot);
        let mut next = endpoint.receive_with(1).unwrap();
        loop {
            let (received, came) = next;
            let found = came.first().map(|one| inspect(one.slot()).unwrap());
            let words = found.map_or([0; 2], |found| [found.rights.bits().into(), found.badge]);
            if received.message.label() == 1 {
                return reply(&label(0)).unwrap();
            }
            let answer = Message::new(0, &words).unwrap();
            next = endpoint.reply_receive_with(&answer, &[], 1).unwrap();
        }
    });
    let sent = Endpoint::create().unwrap();
    let all = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
    for bits in 0..=all.bits() {
        for badge in [0, 7] {
            let rights = Rights::from_bits_truncate(bits) & all;
            let copy =
                Capability::from_slot(copy_to(sent.slot(), CapSlot::NULL, rights, badge).unwrap());
            let called = endpoint.call_with(&label(2), &[copy.slot()], 0);
            match rights.contains(Rights::GRANT) {
                false => assert_eq!(called.err(), Some(IpcError::MissingRights)),
                true => assert_eq!(called.unwrap().0.words(), [rights.bits().into(), badge]),
            }
        }
    }
    endpoint.call(&label(1)).unwrap();
    server.join().unwrap();
}

/// What came is a child of what was sent.
pub fn what_came_goes_with_a_revoke() {
    let endpoint = Endpoint::create().unwrap();
    let notification = Notification::create().unwrap();
    let own = four(&notification);
    let slot = endpoint.slot();
    let sender = threads::at(MIDDLE, move || threads::endpoint(slot).send_with(&label(1), &own));
    let (_, came) = endpoint.receive_with(4).unwrap();
    sender.join().unwrap().unwrap();
    check(&came, 4);
    revoke(own[2]).unwrap();
    for (number, one) in came.iter().enumerate() {
        assert_eq!(inspect(one.slot()).is_ok(), number != 2);
    }
}
