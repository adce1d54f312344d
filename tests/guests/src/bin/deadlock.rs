//! Endpoints that are bound to a thread, and calls that would close a cycle of waits.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use guests::{
    children, counters, cpus, suite,
    threads::{self, MIDDLE, at, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Message, Reply, Rights, clock, endpoint::reply,
    start::bootstrap, thread::JoinHandle,
};

suite! {
    cases: [
        others_do_not_receive,
        what_is_bound_is_bound_once,
        a_call_to_oneself_is_refused,
        the_last_call_of_every_ring_is_refused,
        a_cycle_through_processes_is_refused,
        a_kept_reply_is_no_wait_for_a_thread,
        refusals_leave_nothing,
    ],
    parallel: [of_those_who_close_a_cycle_at_once_one_is_told],
    roles: [calls_back],
}

fn own() -> CapSlot {
    bootstrap().thread
}

/// A bound endpoint is received at by its thread alone, whoever has the right.
fn others_do_not_receive() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    endpoint.bind(own()).unwrap();
    let other = at(MIDDLE, move || {
        let endpoint = threads::endpoint(slot);
        assert_eq!(endpoint.try_receive(), Err(IpcError::BoundToAnother));
        assert_eq!(endpoint.receive(), Err(IpcError::BoundToAnother));
        assert_eq!(endpoint.receive_until(clock::now() + 10), Err(IpcError::BoundToAnother));
        endpoint.call(&label(1))
    });
    assert_eq!(endpoint.receive().unwrap().message, label(1));
    reply(&label(2)).unwrap();
    assert_eq!(other.join().unwrap(), Ok(label(2)));
    endpoint.bind(CapSlot::NULL).unwrap();
    let other = at(MIDDLE, move || threads::endpoint(slot).try_receive());
    assert_eq!(other.join().unwrap(), Err(IpcError::WouldBlock));
}

fn what_is_bound_is_bound_once() {
    let (first, second) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
    let slot = second.slot();
    let thread = at(MIDDLE, move || threads::endpoint(slot).receive());
    settle();
    assert_eq!(second.bind(own()), Err(Error::AlreadyBound), "another receives there");
    assert_eq!(second.bind(thread.thread().slot()), Ok(()));
    first.bind(own()).unwrap();
    for (endpoint, thread) in [(&first, own()), (&first, thread.thread().slot()), (&second, own())]
    {
        assert_eq!(endpoint.bind(thread), Err(Error::AlreadyBound));
    }
    let send_only = first.copy(Rights::SEND, 0).unwrap();
    assert_eq!(send_only.bind(own()), Err(Error::MissingRights));
    threads::end(thread);
    drop((first, send_only));
    assert_eq!(second.bind(own()), Ok(()), "both ends unbind");
}

/// With every deadline; nothing is left of it.
fn a_call_to_oneself_is_refused() {
    let endpoint = Endpoint::create().unwrap();
    endpoint.bind(own()).unwrap();
    assert_eq!(endpoint.call(&label(1)), Err(IpcError::WouldDeadlock));
    let patience = clock::now() + 1_000_000_000;
    assert_eq!(endpoint.call_until(patience, &label(1)), Err(IpcError::WouldDeadlock));
    assert_eq!(endpoint.try_call(&label(1)), Err(IpcError::WouldBlock));
    assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    // Without the bond it waits.
    endpoint.bind(CapSlot::NULL).unwrap();
    assert_eq!(endpoint.call_until(clock::now() + 10_000, &label(1)), Err(IpcError::TimedOut));
}

/// A thread with an endpoint of its own, to which it is bound: takes a call, calls the next, answers.
fn link(own: Arc<Vec<Endpoint>>, place: usize) -> JoinHandle<Result<Message, IpcError>> {
    at(MIDDLE, move || {
        let next = (place + 1) % own.len();
        assert!(own[place].receive().unwrap().is_call);
        let passed = own[next].call(&label(2));
        reply(&label(3)).unwrap();
        passed
    })
}

/// A chain of so many threads, each of which waits for the next: the call that closes it is refused, and all go on.
fn the_last_call_of_every_ring_is_refused() {
    for count in [2, 3, 10, 64] {
        let endpoints: Arc<Vec<Endpoint>> =
            Arc::new((0..count).map(|_| Endpoint::create().unwrap()).collect());
        let threads: Vec<_> = (1..count).map(|place| link(endpoints.clone(), place)).collect();
        for (place, thread) in threads.iter().enumerate() {
            endpoints[place + 1].bind(thread.thread().slot()).unwrap();
        }
        endpoints[0].bind(own()).unwrap();
        settle();
        assert_eq!(endpoints[1].call(&label(1)), Ok(label(3)));
        let mut outcomes: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        assert_eq!(outcomes.pop(), Some(Err(IpcError::WouldDeadlock)));
        assert!(outcomes.iter().all(|outcome| *outcome == Ok(label(3))));
    }
}

/// Answers a call after one of its own to whoever it was given.
fn calls_back() {
    let (own_endpoint, other) = (granted(0), granted(1));
    own_endpoint.bind(own()).unwrap();
    assert!(own_endpoint.receive().unwrap().is_call);
    let answer = match other.call(&label(2)) {
        Err(IpcError::WouldDeadlock) => 1,
        _ => 0,
    };
    reply(&label(answer)).unwrap();
    // Now nobody waits for it.
    assert_eq!(other.call(&label(3)), Ok(label(4)));
}

fn a_cycle_through_processes_is_refused() {
    let (mine, theirs) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
    mine.bind(own()).unwrap();
    let child = children::start("calls_back", |spawn| {
        spawn.grant(theirs.slot(), Rights::RECEIVE, 0).grant(mine.slot(), Rights::SEND, 0)
    });
    assert_eq!(theirs.call(&label(1)), Ok(label(1)), "it was refused");
    assert_eq!(mine.receive().unwrap().message, label(3));
    reply(&label(4)).unwrap();
    children::succeed(&child);
}

/// Another thread can answer: the call waits.
fn a_kept_reply_is_no_wait_for_a_thread() {
    let (mine, theirs) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
    mine.bind(own()).unwrap();
    let (mine_slot, slot) = (mine.slot(), theirs.slot());
    let other = at(MIDDLE, move || {
        assert!(threads::endpoint(slot).receive().unwrap().is_call);
        let kept = Reply::keep().unwrap();
        let answerer = at(MIDDLE, move || kept.answer(&label(5)));
        let called = threads::endpoint(mine_slot).call(&label(1));
        answerer.join().unwrap().unwrap();
        called
    });
    theirs.bind(other.thread().slot()).unwrap();
    assert_eq!(theirs.call(&label(1)), Ok(label(5)));
    assert!(mine.receive().unwrap().is_call);
    reply(&label(6)).unwrap();
    assert_eq!(other.join().unwrap(), Ok(label(6)));
}

fn refusals_leave_nothing() {
    counters::leaves_nothing(500, || {
        let endpoint = Endpoint::create().unwrap();
        endpoint.bind(own()).unwrap();
        assert_eq!(endpoint.call(&label(1)), Err(IpcError::WouldDeadlock));
    });
}

const ROUNDS: u32 = 300;

/// Threads of all CPUs stand in a ring and call each other at once, again and again: somebody is told each time, and
/// serves; nobody hangs.
fn of_those_who_close_a_cycle_at_once_one_is_told() {
    let count = cpus::count().clamp(2, 4) as usize;
    let endpoints: Arc<Vec<Endpoint>> =
        Arc::new((0..count).map(|_| Endpoint::create().unwrap()).collect());
    let refused = Arc::new(AtomicU64::new(0));
    let started = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..count)
        .map(|place| {
            let (endpoints, refused, started) =
                (endpoints.clone(), refused.clone(), started.clone());
            at(MIDDLE, move || {
                while started.load(Ordering::Acquire) == 0 {
                    orbital_user::thread::yield_now();
                }
                let (mine, next) = (&endpoints[place], &endpoints[(place + 1) % count]);
                let (mut answered, mut served) = (0, 0);
                while answered < ROUNDS || served < ROUNDS {
                    let outcome = match answered < ROUNDS {
                        true => next.call(&label(answered)),
                        false => Err(IpcError::WouldDeadlock),
                    };
                    match outcome {
                        Ok(answer) => {
                            assert_eq!(answer, label(answered));
                            answered += 1;
                        }
                        Err(error) => {
                            assert_eq!(error, IpcError::WouldDeadlock);
                            refused.fetch_add(1, Ordering::Relaxed);
                            if served < ROUNDS {
                                let received = mine.receive().unwrap();
                                reply(&received.message).unwrap();
                                served += 1;
                            }
                        }
                    }
                }
            })
        })
        .collect();
    for (endpoint, thread) in endpoints.iter().zip(&threads) {
        endpoint.bind(thread.thread().slot()).unwrap();
    }
    started.store(1, Ordering::Release);
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(refused.load(Ordering::Relaxed) > 0);
}
