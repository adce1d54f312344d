//! Replies that are kept in slots, to be answered later, in any order and by any thread.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod at_once;

use alloc::vec::Vec;

use guests::{
    children,
    counters::{self, Counters, REPLIES},
    raw::{self, NOISE},
    suite,
    threads::{self, MIDDLE, caller, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Message, Reply, Rights,
    abi::Syscall,
    clock,
    endpoint::reply,
    server::{Next, serve},
    thread::JoinHandle,
};

use at_once::{a_slot_is_closed_during_the_answer, two_threads_answer_at_once};

suite! {
    cases: [
        another_thread_answers,
        another_thread_answers_and_receives,
        what_is_kept_is_not_owed,
        a_reply_is_answered_once,
        what_is_no_reply_is_refused,
        a_reply_that_goes_tells_its_caller,
        a_server_that_is_killed_tells_all_its_callers,
        a_caller_that_gave_up_is_no_secret,
        the_dead_are_not_kept,
        a_server_s_loop_answers_later,
        kept_replies_leave_nothing,
    ],
    parallel: [two_threads_answer_at_once, a_slot_is_closed_during_the_answer],
    on "memory=256M pinned timeout=120": [a_thousand_are_answered_in_reverse],
    roles: [calls, keeps],
}

type Caller = JoinHandle<Result<Message, IpcError>>;

/// Takes a call with this label, and keeps it.
#[track_caller]
fn keep(endpoint: &Endpoint, with: u32) -> Reply {
    let received = endpoint.receive().unwrap();
    assert_eq!((received.message, received.is_call), (label(with), true));
    Reply::keep().unwrap()
}

/// A caller whose call is kept.
fn kept(endpoint: &Endpoint) -> (Caller, Reply) {
    let caller = caller(endpoint.slot(), 1);
    let reply = keep(endpoint, 1);
    (caller, reply)
}

/// The call that one thread has taken and kept is answered by another one; and by the first, after that has ended.
fn another_thread_answers() {
    let endpoint = Endpoint::create().unwrap();
    let (caller, kept) = kept(&endpoint);
    settle();
    assert!(threads::is_alive(&caller));
    let other = threads::at(MIDDLE, move || kept.answer(&label(2)));
    assert_eq!(other.join().unwrap(), Ok(()));
    assert_eq!(caller.join().unwrap(), Ok(label(2)));

    let slot = endpoint.slot();
    let caller = threads::at(MIDDLE, move || threads::endpoint(slot).call(&label(3)));
    let taker = threads::at(MIDDLE, move || keep(&threads::endpoint(slot), 3));
    let kept = taker.join().unwrap();
    assert_eq!(kept.answer(&label(4)), Ok(()));
    assert_eq!(caller.join().unwrap(), Ok(label(4)));
}

/// The same in one step with the next message, which is a call that this thread owes then.
fn another_thread_answers_and_receives() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    for before in [settle as fn(), || ()] {
        let (first, kept) = kept(&endpoint);
        let next = threads::at(MIDDLE, move || threads::endpoint(slot).call(&label(5)));
        before();
        let other = threads::at(MIDDLE, move || {
            let received = kept.answer_and_receive(&threads::endpoint(slot), &label(2)).unwrap();
            assert_eq!((received.message, received.is_call), (label(5), true));
            reply(&label(6))
        });
        assert_eq!(other.join().unwrap(), Ok(()));
        assert_eq!(first.join().unwrap(), Ok(label(2)));
        assert_eq!(next.join().unwrap(), Ok(label(6)));
    }
}

/// A thread that has kept a call owes none; the next one that it takes drops no kept one.
fn what_is_kept_is_not_owed() {
    let endpoint = Endpoint::create().unwrap();
    let (first, kept) = kept(&endpoint);
    raw::refuse(Syscall::ReplyKeep, NOISE, Error::NoReplyOwed);
    assert_eq!(reply(&label(9)), Err(IpcError::NoReplyOwed));
    let second = caller(endpoint.slot(), 2);
    assert!(endpoint.receive().unwrap().is_call);
    settle();
    assert!(threads::is_alive(&first) && threads::is_alive(&second));
    // The one that is owed first, then the kept one.
    assert_eq!(reply(&label(3)), Ok(()));
    assert_eq!(second.join().unwrap(), Ok(label(3)));
    assert_eq!(kept.answer(&label(4)), Ok(()));
    assert_eq!(first.join().unwrap(), Ok(label(4)));
}

/// Afterwards the slot is stale, whatever is tried.
fn a_reply_is_answered_once() {
    let endpoint = Endpoint::create().unwrap();
    let (caller, kept) = kept(&endpoint);
    let slot = kept.slot();
    assert_eq!(kept.answer(&label(2)), Ok(()));
    assert_eq!(caller.join().unwrap(), Ok(label(2)));
    refused(&endpoint, slot, Error::StaleCapability);
    raw::refuse(Syscall::CapabilityClose, raw::control([slot.bits()]), Error::StaleCapability);
}

/// Both answers by what is in `slot` are refused.
#[track_caller]
fn refused(endpoint: &Endpoint, slot: CapSlot, error: Error) {
    let mut registers = raw::operation(endpoint.slot(), 0, u64::MAX, NOISE.words);
    registers.control[3] = slot.bits();
    raw::refuse(Syscall::ReplyReceive, registers, error);
    raw::refuse(Syscall::Reply, raw::operation(slot, 0, 0, NOISE.words), error);
}

/// Other kinds, other generations, no slots at all, malformed messages: refused, and the caller waits on.
fn what_is_no_reply_is_refused() {
    let endpoint = Endpoint::create().unwrap();
    let (caller, kept) = kept(&endpoint);
    let slot = kept.slot();
    refused(&endpoint, endpoint.slot(), Error::WrongKind);
    for empty in [
        CapSlot::new(slot.index(), slot.generation() + 1),
        CapSlot::new(slot.index(), 0),
        CapSlot::new(slot.index() + 20, 1),
        CapSlot::new(u32::MAX, u32::MAX),
        CapSlot::from_bits(1),
    ] {
        refused(&endpoint, empty, Error::EmptySlot);
    }
    for tag in [9 << 32, 1 << 63, u64::MAX] {
        let mut registers = raw::operation(slot, tag, 0, NOISE.words);
        raw::refuse(Syscall::Reply, registers, Error::InvalidMessage);
        registers.control = [endpoint.slot().bits(), tag, u64::MAX, slot.bits()];
        raw::refuse(Syscall::ReplyReceive, registers, Error::InvalidMessage);
    }
    // The endpoint is looked at before anything is answered.
    let powerless = endpoint.copy(Rights::SEND, 0).unwrap();
    for (wrong, error) in [
        (CapSlot::NULL, Error::EmptySlot),
        (slot, Error::WrongKind),
        (powerless.slot(), Error::MissingRights),
    ] {
        let mut registers = raw::operation(wrong, 0, u64::MAX, NOISE.words);
        registers.control[3] = slot.bits();
        raw::refuse(Syscall::ReplyReceive, registers, error);
    }
    settle();
    assert!(threads::is_alive(&caller));
    assert_eq!(kept.answer(&label(2)), Ok(()));
    assert_eq!(caller.join().unwrap(), Ok(label(2)));
}

/// A slot that is closed drops its reply.
fn a_reply_that_goes_tells_its_caller() {
    let endpoint = Endpoint::create().unwrap();
    let (caller, kept) = kept(&endpoint);
    let slot = kept.slot();
    drop(kept);
    assert_eq!(caller.join().unwrap(), Err(IpcError::PeerGone));
    refused(&endpoint, slot, Error::StaleCapability);
}

/// Keeps all that comes, and waits for more.
fn keeps() {
    let endpoint = granted(0);
    let mut kept = Vec::new();
    while endpoint.receive().unwrap().is_call {
        kept.push(Reply::keep().unwrap());
    }
    let _ = Endpoint::create().unwrap().receive();
}

/// With its process all that it has kept goes.
fn a_server_that_is_killed_tells_all_its_callers() {
    let endpoint = Endpoint::create().unwrap();
    let child = children::start("keeps", |spawn| spawn.grant(endpoint.slot(), Rights::RECEIVE, 0));
    let slot = endpoint.slot();
    let callers: Vec<Caller> = (0..50)
        .map(|_| threads::at(MIDDLE, move || threads::endpoint(slot).call(&label(1))))
        .collect();
    settle();
    endpoint.send(&label(0)).unwrap();
    assert!(callers.iter().all(threads::is_alive));
    child.process.kill().unwrap();
    child.wait().unwrap();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), Err(IpcError::PeerGone));
    }
}

/// The caller's deadline came before the answer, or it was killed: who keeps the call, or answers it, is told.
fn a_caller_that_gave_up_is_no_secret() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    for keeps in [true, false] {
        for killed in [true, false] {
            let caller = threads::at(MIDDLE, move || {
                let patience = if killed { u64::MAX } else { clock::now() + 1_000_000 };
                threads::endpoint(slot).call_until(patience, &label(1))
            });
            assert!(endpoint.receive().unwrap().is_call);
            let kept = keeps.then(|| Reply::keep().unwrap());
            if killed {
                threads::end(caller);
            } else {
                assert_eq!(caller.join().unwrap(), Err(IpcError::Unanswered));
            }
            match kept {
                Some(kept) => {
                    let used = kept.slot();
                    assert_eq!(kept.answer(&label(2)), Err(IpcError::PeerGone));
                    refused(&endpoint, used, Error::StaleCapability);
                }
                None => {
                    raw::refuse(Syscall::ReplyKeep, NOISE, Error::PeerGone);
                    assert_eq!(reply(&label(2)), Err(IpcError::PeerGone));
                    raw::refuse(Syscall::ReplyKeep, NOISE, Error::NoReplyOwed);
                }
            }
        }
    }
}

fn calls() {
    let _ = granted(0).call(&label(1));
}

/// Kernel memory of a reply that is kept.
const REPLY_BYTES: u64 = 64;

/// A server that owes an answer to a process that was killed, or keeps one, keeps nothing of that process: all that it
/// had is given back, and its quota is whole.
fn the_dead_are_not_kept() {
    let endpoint = Endpoint::create().unwrap();
    for keeps in [false, true] {
        let round = || {
            let child = children::start("calls", |s| s.grant(endpoint.slot(), Rights::SEND, 0));
            assert!(endpoint.receive().unwrap().is_call);
            let kept = keeps.then(|| Reply::keep().unwrap());
            child.process.kill().unwrap();
            child.wait().unwrap();
            drop(child);
            settle();
            kept
        };
        // The first takes what stays: room for its slot, and for the reply.
        let first = round();
        drop(first);
        let before = Counters::now();
        let kept = round();
        let after = Counters::now();
        let mut wanted = before.objects;
        wanted[REPLIES] += u64::from(keeps);
        assert_eq!(after.objects, wanted);
        // The reply, perhaps in a slab of its own.
        let (bytes, frames) = if keeps { (REPLY_BYTES, 1) } else { (0, 0) };
        assert_eq!(after.heap_bytes, before.heap_bytes + bytes);
        assert!(after.free_frames + frames >= before.free_frames);
        drop(kept);
        let _ = reply(&label(1));
    }
}

const STOP: u32 = u32::MAX;

/// A server's loop keeps every call, and answers each when the next one comes.
fn a_server_s_loop_answers_later() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let server = threads::at(MIDDLE, move || {
        let mut last: Option<Reply> = None;
        serve(&threads::endpoint(slot), |request| {
            if let Some(kept) = last.take() {
                kept.answer(&request.message).unwrap();
            }
            if request.message.label() == STOP {
                return Next::ReplyAndStop(label(STOP));
            }
            last = Some(Reply::keep().unwrap());
            Next::Later
        })
    });
    let first = caller(slot, 1);
    let second = caller(slot, 2);
    assert_eq!(first.join().unwrap(), Ok(label(2)));
    assert!(threads::is_alive(&second));
    assert_eq!(endpoint.call(&label(STOP)), Ok(label(STOP)));
    assert_eq!(second.join().unwrap(), Ok(label(STOP)));
    assert_eq!(server.join().unwrap(), Ok(()));
}

/// Answered, closed and given up ones leave no object and no memory behind.
fn kept_replies_leave_nothing() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let callers = [0, 1].map(|_| {
        threads::at(MIDDLE, move || {
            let server = threads::endpoint(slot);
            while server.call(&label(1)) != Ok(label(STOP)) {}
        })
    });
    counters::leaves_nothing(500, || {
        let kept = [(); 2].map(|()| {
            assert!(endpoint.receive().unwrap().is_call);
            Reply::keep().unwrap()
        });
        let [first, second] = kept;
        second.answer(&label(2)).unwrap();
        drop(first);
    });
    for _ in &callers {
        assert!(endpoint.receive().unwrap().is_call);
        Reply::keep().unwrap().answer(&label(STOP)).unwrap();
    }
    for caller in callers {
        caller.join().unwrap();
    }
}

/// A thousand callers wait at the same time, and are answered the last one first.
fn a_thousand_are_answered_in_reverse() {
    const CALLERS: u32 = 1000;
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let callers: Vec<Caller> = (0..CALLERS)
        .map(|number| threads::at(MIDDLE, move || threads::endpoint(slot).call(&label(number))))
        .collect();
    let mut kept = Vec::new();
    for _ in 0..CALLERS {
        let received = endpoint.receive().unwrap();
        kept.push((received.message.label(), Reply::keep().unwrap()));
    }
    settle();
    assert!(callers.iter().all(threads::is_alive));
    for (number, kept) in kept.into_iter().rev() {
        assert_eq!(kept.answer(&label(number + CALLERS)), Ok(()));
        settle();
        assert!(!threads::is_alive(&callers[number as usize]), "answered in its turn");
    }
    for (number, caller) in (0..).zip(callers) {
        assert_eq!(caller.join().unwrap(), Ok(label(number + CALLERS)));
    }
}
