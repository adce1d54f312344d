//! Notifications that are bound to a thread: its receives end by signals, too.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::sync::Arc;
use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use guests::{
    children, counters, cpus, own_thread,
    raw::{self, NOISE},
    suite,
    threads::{self, MIDDLE, at, caller, granted, label, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Notification, Rights, Timer,
    abi::{Registers, Syscall},
    clock,
    endpoint::reply,
    start::bootstrap,
    thread::yield_now,
};

suite! {
    cases: [
        signals_end_a_receive,
        exactly_the_bits_arrive,
        a_deadline_holds_with_and_without_signals,
        a_server_has_signals_and_calls,
        a_timer_ends_a_receive,
        what_is_bound_is_bound_once,
        a_child_is_signalled_by_its_parent,
        binding_leaves_nothing,
    ],
    parallel: [signals_and_messages_of_all_cpus_are_each_taken_once],
    roles: [waits_for_a_signal],
}

/// The capability to this thread.
fn own() -> CapSlot {
    bootstrap().thread
}

/// This thread with a notification of its own, as long as `f` runs.
fn bound(f: impl FnOnce(&Endpoint, &Notification)) {
    let (endpoint, word) = (Endpoint::create().unwrap(), Notification::create().unwrap());
    word.bind(own()).unwrap();
    f(&endpoint, &word);
    word.bind(CapSlot::NULL).unwrap();
}

/// Signals that are there, signals that come, and messages between them.
fn signals_end_a_receive() {
    bound(|endpoint, word| {
        for bits in [1, 4, 1] {
            word.signal(bits).unwrap();
        }
        let received = endpoint.try_receive().unwrap();
        assert_eq!((received.signals, received.is_call, received.badge), (5, false, 0));
        assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
        let (slot, given) = (word.slot(), endpoint.slot());
        let other = at(MIDDLE, move || {
            let word = ManuallyDrop::new(Notification::from_slot(slot));
            word.signal(2).unwrap();
            threads::endpoint(given).send(&label(7)).unwrap();
            word.signal(8).unwrap();
        });
        assert_eq!(endpoint.receive().unwrap().signals, 2);
        let received = endpoint.receive().unwrap();
        assert_eq!((received.message, received.signals), (label(7), 0));
        assert_eq!(endpoint.receive().unwrap().signals, 8);
        other.join().unwrap();
        assert_eq!(word.poll(), Err(Error::WouldBlock));
    });
}

/// Every bit, alone and with all others; and nothing else in any register.
fn exactly_the_bits_arrive() {
    bound(|endpoint, word| {
        for bits in (0..64).map(|bit| 1 << bit).chain([u64::MAX, 1 << 63 | 1]) {
            word.signal(bits).unwrap();
            let registers = raw::no_answer(endpoint.slot(), 0, 0, NOISE.words);
            let left = raw::call(Syscall::Receive, registers);
            assert_eq!(left, raw::Left::well(Registers::control([bits, 0, 4, 0])));
        }
    });
}

fn a_deadline_holds_with_and_without_signals() {
    bound(|endpoint, word| {
        let deadline = clock::now() + 1_000_000;
        assert_eq!(endpoint.receive_until(deadline), Err(IpcError::TimedOut));
        assert!(clock::now() >= deadline);
        let slot = word.slot();
        let other = at(MIDDLE, move || {
            ManuallyDrop::new(Notification::from_slot(slot)).signal(3).unwrap();
        });
        assert_eq!(endpoint.receive_until(clock::now() + 1_000_000_000).unwrap().signals, 3);
        other.join().unwrap();
        // One that has passed: what is there is had.
        word.signal(1).unwrap();
        assert_eq!(endpoint.receive_until(1).unwrap().signals, 1);
        assert_eq!(endpoint.receive_until(1), Err(IpcError::TimedOut));
    });
}

/// A call stays owed while signals come; an answer with the next message in one step has signals, too.
fn a_server_has_signals_and_calls() {
    bound(|endpoint, word| {
        for round in 1..50 {
            let caller = caller(endpoint.slot(), round);
            let received = endpoint.receive().unwrap();
            assert!(received.is_call && received.signals == 0);
            word.signal(6).unwrap();
            assert_eq!(endpoint.receive().unwrap().signals, 6);
            settle();
            assert!(threads::is_alive(&caller));
            word.signal(1).unwrap();
            assert_eq!(endpoint.reply_receive(&label(round + 1)).unwrap().signals, 1);
            assert_eq!(caller.join().unwrap(), Ok(label(round + 1)));
            assert_eq!(reply(&label(1)), Err(IpcError::NoReplyOwed));
        }
    });
}

fn a_timer_ends_a_receive() {
    bound(|endpoint, word| {
        let timer = Timer::create(word, 16).unwrap();
        let time = clock::now() + 1_000_000;
        timer.set(time).unwrap();
        assert_eq!(endpoint.receive().unwrap().signals, 16);
        assert!(clock::now() >= time);
    });
}

/// Refused: a second of either, what has no right, what has ended.
fn what_is_bound_is_bound_once() {
    let (first, second) = (Notification::create().unwrap(), Notification::create().unwrap());
    let thread = at(MIDDLE, || Endpoint::create().unwrap().receive());
    first.bind(own()).unwrap();
    for (word, thread) in [(&first, own()), (&first, thread.thread().slot()), (&second, own())] {
        assert_eq!(word.bind(thread), Err(Error::AlreadyBound));
    }
    let send_only = first.copy(Rights::SEND, 0).unwrap();
    assert_eq!(send_only.bind(own()), Err(Error::MissingRights));
    assert_eq!(second.bind(thread.thread().slot()), Ok(()));
    // Both ends unbind.
    threads::end(thread);
    let ended = at(MIDDLE, || ());
    settle();
    assert_eq!(second.bind(ended.thread().slot()), Err(Error::Ended));
    ended.join().unwrap();
    drop((first, send_only));
    assert_eq!(second.bind(own()), Ok(()));
    assert_eq!(own_thread().inspect().is_ok(), second.bind(CapSlot::NULL).is_ok());
}

/// Receives until a signal comes.
fn waits_for_a_signal() {
    let (endpoint, word) = (granted(0), granted(1));
    let word = Notification::from_slot({
        let slot = word.slot();
        core::mem::forget(word);
        slot
    });
    word.bind(own()).unwrap();
    let mut messages = 0;
    loop {
        let received = endpoint.receive().unwrap();
        if received.signals != 0 {
            assert_eq!((received.signals, messages), (1 << 40, 3));
            return;
        }
        messages += 1;
    }
}

fn a_child_is_signalled_by_its_parent() {
    let (endpoint, word) = (Endpoint::create().unwrap(), Notification::create().unwrap());
    let child = children::start("waits_for_a_signal", |spawn| {
        spawn.grant(endpoint.slot(), Rights::RECEIVE, 0).grant(word.slot(), Rights::RECEIVE, 0)
    });
    for _ in 0..3 {
        endpoint.send(&label(1)).unwrap();
    }
    settle();
    word.signal(1 << 40).unwrap();
    children::succeed(&child);
    // It is free again.
    settle();
    assert_eq!(word.bind(own()), Ok(()));
    word.bind(CapSlot::NULL).unwrap();
}

fn binding_leaves_nothing() {
    let others = Endpoint::create().unwrap();
    let slot = others.slot();
    counters::leaves_nothing(200, || {
        bound(|endpoint, word| {
            word.signal(1).unwrap();
            assert_eq!(endpoint.receive().unwrap().signals, 1);
            assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
        });
        // The notification is closed while the thread waits, or the thread ends before.
        for closes in [true, false] {
            let word = Notification::create().unwrap();
            let thread = at(MIDDLE, move || threads::endpoint(slot).receive());
            word.bind(thread.thread().slot()).unwrap();
            settle();
            let word = (!closes).then_some(word);
            others.send(&label(1)).unwrap();
            assert_eq!(thread.join().unwrap().unwrap().message, label(1));
            drop(word);
        }
    });
}

const SIGNALS: u64 = 2000;

/// Threads of all CPUs count bits down and send messages: each message comes once, and no bit is lost.
fn signals_and_messages_of_all_cpus_are_each_taken_once() {
    bound(|endpoint, word| {
        let (slot, given) = (word.slot(), endpoint.slot());
        let sum = Arc::new(AtomicU64::new(0));
        let seen: Arc<[AtomicBool; 4]> = Arc::default();
        let count = cpus::count().min(4) as u64;
        let workers: alloc::vec::Vec<_> = (0..count)
            .map(|number| {
                let (sum, seen) = (sum.clone(), seen.clone());
                at(MIDDLE, move || {
                    let word = ManuallyDrop::new(Notification::from_slot(slot));
                    for round in 0..SIGNALS {
                        seen[number as usize].store(false, Ordering::SeqCst);
                        word.signal(1 << number).unwrap();
                        sum.fetch_add(round, Ordering::Relaxed);
                        threads::endpoint(given).send(&label(round as u32)).unwrap();
                        // The signal came before the message, or comes after it.
                        while !seen[number as usize].load(Ordering::SeqCst) {
                            yield_now();
                        }
                    }
                })
            })
            .collect();
        let (mut messages, mut labels) = (0, 0);
        let mut signals = [0; 4];
        let all = |signals: &[u64; 4]| signals.iter().sum::<u64>() == count * SIGNALS;
        while messages < count * SIGNALS || !all(&signals) {
            let received = endpoint.receive().unwrap();
            if received.signals == 0 {
                messages += 1;
                labels += u64::from(received.message.label());
            }
            for (number, count) in signals.iter_mut().enumerate() {
                if received.signals >> number & 1 == 1 {
                    *count += 1;
                    seen[number].store(true, Ordering::SeqCst);
                }
            }
        }
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!(labels, sum.load(Ordering::Relaxed));
        assert_eq!(endpoint.try_receive(), Err(IpcError::WouldBlock));
    });
}
