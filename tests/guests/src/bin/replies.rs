//! Calls and their replies: who owes what to whom.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    children, counters,
    raw::{self, NOISE},
    suite,
    threads::{self, MIDDLE, caller, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Message, Rights,
    abi::Syscall,
    endpoint::reply,
    server::{Next, serve},
};

suite! {
    cases: [
        without_a_call_there_is_no_reply,
        a_call_is_answered_once,
        a_second_call_drops_the_first,
        a_plain_message_leaves_the_call,
        a_reply_is_its_thread_s,
        a_reply_to_the_dead_is_used_up,
        reply_receive_goes_on_when_the_caller_is_gone,
        reply_receive_has_replied_when_it_would_block,
        a_refused_reply_receive_owes_still,
        a_caller_s_capability_may_go_while_it_waits,
        calls_leave_nothing,
    ],
    roles: [calls],
}

const STOP: u32 = u32::MAX;

/// Receives a call with this label.
#[track_caller]
fn take(endpoint: &Endpoint, with: u32) {
    let received = endpoint.receive().unwrap();
    assert_eq!((received.message, received.is_call), (label(with), true));
}

#[track_caller]
fn owe_nothing(endpoint: &Endpoint) {
    let registers = raw::operation(CapSlot::NULL, 0, u64::MAX, NOISE.words);
    raw::refuse(Syscall::Reply, registers, Error::NoReplyOwed);
    raw::refuse(Syscall::ReplyKeep, NOISE, Error::NoReplyOwed);
    let registers = raw::operation(endpoint.slot(), 0, u64::MAX, NOISE.words);
    raw::refuse(Syscall::ReplyReceive, registers, Error::NoReplyOwed);
}

/// A thread that took no call, or a message that is none, owes no reply; reply_receive then takes no
/// message either.
fn without_a_call_there_is_no_reply() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    owe_nothing(&endpoint);
    let senders: Vec<_> = (1..=2)
        .map(|number| {
            let send = move || threads::endpoint(slot).send(&label(number));
            let sender = threads::at(MIDDLE, send);
            settle();
            sender
        })
        .collect();
    owe_nothing(&endpoint);
    for number in 1..=2 {
        assert_eq!(endpoint.try_receive().unwrap().message, label(number));
        owe_nothing(&endpoint);
    }
    for sender in senders {
        assert_eq!(sender.join().unwrap(), Ok(()));
    }
}

/// A reply is one-shot, whoever waited first.
fn a_call_is_answered_once() {
    let endpoint = Endpoint::create().unwrap();
    for before in [settle as fn(), || ()] {
        let slot = endpoint.slot();
        let caller = threads::at(MIDDLE, move || threads::endpoint(slot).call(&label(1)));
        before();
        take(&endpoint, 1);
        reply(&label(2)).unwrap();
        owe_nothing(&endpoint);
        assert_eq!(caller.join().unwrap(), Ok(label(2)));
        owe_nothing(&endpoint);
    }
}

/// A server that takes a second call without an answer to the first drops that, whether it finds the
/// second or the second finds it: the first caller gets `PeerGone`, the second its reply.
fn a_second_call_drops_the_first() {
    let endpoint = Endpoint::create().unwrap();
    let first = caller(endpoint.slot(), 1);
    let second = caller(endpoint.slot(), 2);
    take(&endpoint, 1);
    settle();
    assert!(threads::is_alive(&first));
    take(&endpoint, 2);
    assert_eq!(first.join().unwrap(), Err(IpcError::PeerGone));
    assert!(threads::is_alive(&second));
    // The third comes while this thread waits.
    let slot = endpoint.slot();
    let third = threads::at(MIDDLE, move || threads::endpoint(slot).call(&label(3)));
    take(&endpoint, 3);
    assert_eq!(second.join().unwrap(), Err(IpcError::PeerGone));
    reply(&label(4)).unwrap();
    assert_eq!(third.join().unwrap(), Ok(label(4)));
    owe_nothing(&endpoint);
}

/// A message that is no call leaves the call that is owed, whoever waited first.
fn a_plain_message_leaves_the_call() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let caller = caller(slot, 1);
    take(&endpoint, 1);
    for before in [settle as fn(), || ()] {
        let sender = threads::at(MIDDLE, move || threads::endpoint(slot).send(&label(2)));
        before();
        assert_eq!(endpoint.receive().unwrap().message, label(2));
        assert_eq!(sender.join().unwrap(), Ok(()));
        assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    }
    reply(&label(3)).unwrap();
    assert_eq!(caller.join().unwrap(), Ok(label(3)));
}

/// Another thread of the server's process has no reply to give.
fn a_reply_is_its_thread_s() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let caller = caller(slot, 1);
    take(&endpoint, 1);
    threads::at(MIDDLE, move || owe_nothing(&threads::endpoint(slot))).join().unwrap();
    assert!(threads::is_alive(&caller));
    reply(&label(2)).unwrap();
    assert_eq!(caller.join().unwrap(), Ok(label(2)));
}

fn calls() {
    let _ = granted(0).call(&label(1));
}

/// Lets a caller die, a thread or a process, after this thread took its call.
fn take_from_the_dying(endpoint: &Endpoint, process: bool) {
    if process {
        let child = children::start("calls", |s| s.grant(endpoint.slot(), Rights::SEND, 0));
        take(endpoint, 1);
        child.process.kill().unwrap();
        child.wait().unwrap();
    } else {
        let caller = caller(endpoint.slot(), 1);
        take(endpoint, 1);
        threads::end(caller);
    }
}

/// The caller was killed: its reply gives `PeerGone`, once.
fn a_reply_to_the_dead_is_used_up() {
    let endpoint = Endpoint::create().unwrap();
    for process in [false, true] {
        take_from_the_dying(&endpoint, process);
        let registers = raw::operation(CapSlot::NULL, 0, 0, NOISE.words);
        raw::refuse(Syscall::Reply, registers, Error::PeerGone);
        owe_nothing(&endpoint);
    }
    // The dead are passed over: the next caller is served.
    let next = caller(endpoint.slot(), 5);
    take(&endpoint, 5);
    reply(&label(6)).unwrap();
    assert_eq!(next.join().unwrap(), Ok(label(6)));
}

/// The caller was killed: a server that answers and receives in one step goes on to the next message.
fn reply_receive_goes_on_when_the_caller_is_gone() {
    let endpoint = Endpoint::create().unwrap();
    for process in [false, true] {
        take_from_the_dying(&endpoint, process);
        let next = caller(endpoint.slot(), 5);
        let received = endpoint.reply_receive(&label(2)).unwrap();
        assert_eq!((received.message, received.is_call), (label(5), true));
        reply(&label(6)).unwrap();
        assert_eq!(next.join().unwrap(), Ok(label(6)));
    }
}

/// Without a next message the `try` form of reply_receive gives `WouldBlock`; the reply is sent.
fn reply_receive_has_replied_when_it_would_block() {
    let endpoint = Endpoint::create().unwrap();
    let caller = caller(endpoint.slot(), 1);
    take(&endpoint, 1);
    let tag = label(2).tag.bits();
    let registers = raw::operation(endpoint.slot(), tag, 0, NOISE.words);
    raw::refuse(Syscall::ReplyReceive, registers, Error::WouldBlock);
    owe_nothing(&endpoint);
    assert_eq!(caller.join().unwrap(), Ok(label(2)));
}

/// A reply_receive that its capability does not allow sends no reply: it can be sent later.
fn a_refused_reply_receive_owes_still() {
    let endpoint = Endpoint::create().unwrap();
    let caller = caller(endpoint.slot(), 1);
    take(&endpoint, 1);
    let send_only = endpoint.copy(Rights::SEND, 0).unwrap();
    let tag = label(2).tag.bits();
    for (slot, error) in
        [(send_only.slot(), Error::MissingRights), (CapSlot::NULL, Error::EmptySlot)]
    {
        let registers = raw::operation(slot, tag, u64::MAX, NOISE.words);
        raw::refuse(Syscall::ReplyReceive, registers, error);
    }
    settle();
    assert!(threads::is_alive(&caller));
    reply(&label(3)).unwrap();
    assert_eq!(caller.join().unwrap(), Ok(label(3)));
}

/// The capability that a caller used is closed while it waits: others keep the endpoint, so its call
/// is taken and answered.
fn a_caller_s_capability_may_go_while_it_waits() {
    let endpoint = Endpoint::create().unwrap();
    let used = endpoint.copy(Rights::SEND, 7).unwrap();
    let first = caller(used.slot(), 1);
    drop(used);
    settle();
    assert!(threads::is_alive(&first));
    let received = endpoint.receive().unwrap();
    assert_eq!((received.message, received.badge), (label(1), 7));
    reply(&label(2)).unwrap();
    assert_eq!(first.join().unwrap(), Ok(label(2)));
}

/// A thousand calls, answered, refused and dropped ones, leave no object and no memory behind.
fn calls_leave_nothing() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let server = threads::at(MIDDLE, move || {
        serve(&threads::endpoint(slot), |request| match request.message.label() {
            STOP => Next::ReplyAndStop(label(STOP)),
            _ => Next::Reply(request.message),
        })
    });
    let message = Message::new(1, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    counters::leaves_nothing(1000, || {
        assert_eq!(endpoint.call(&message), Ok(message));
        assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
        assert_eq!(reply(&message), Err(IpcError::NoReplyOwed));
    });
    assert_eq!(endpoint.call(&label(STOP)), Ok(label(STOP)));
    assert_eq!(server.join().unwrap(), Ok(()));

    // Two callers whose calls are dropped in turn, until one gets a reply.
    let callers = [0, 1].map(|_| {
        threads::at(MIDDLE, move || {
            let server = threads::endpoint(slot);
            while server.call(&label(1)) == Err(IpcError::PeerGone) {}
        })
    });
    counters::leaves_nothing(1000, || assert!(endpoint.receive().unwrap().is_call));
    reply(&label(STOP)).unwrap();
    assert!(endpoint.receive().unwrap().is_call);
    reply(&label(STOP)).unwrap();
    for caller in callers {
        caller.join().unwrap();
    }
}
