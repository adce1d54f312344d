//! The dump of who waits on what, for whom, and since when.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    children, own_thread,
    raw::{self, NOISE},
    suite,
    threads::{self, MIDDLE, at, caller, granted, label, settle},
    workers::Worker,
};
use orbital_user::{
    CapSlot, Endpoint, Error, Notification, Reply, Rights,
    abi::{
        Registers, Syscall,
        waits::{Wait, WaitKind},
    },
    clock,
    endpoint::reply,
    start::bootstrap,
    system,
    thread::JoinHandle,
};

suite! {
    cases: [
        every_wait_is_told,
        a_chain_is_told_from_thread_to_thread,
        the_dump_goes_through_all_processes,
        every_thread_is_told_once,
        what_has_ended_or_runs_is_left_out,
        it_needs_its_right,
    ],
    roles: [waits, asks],
}

/// All that wait.
fn all() -> Vec<Wait> {
    system::waits().map(Result::unwrap).collect()
}

/// The one that waits and was not there before.
#[track_caller]
fn new(before: &[Wait]) -> Wait {
    let news: Vec<Wait> = all()
        .into_iter()
        .filter(|wait| !before.iter().any(|old| old.thread == wait.thread))
        .collect();
    assert_eq!(news.len(), 1, "{news:?}");
    news[0]
}

/// A thread that waits by `f`: what is told of it. Whatever it waits for comes by `end`.
#[track_caller]
fn told(f: impl FnOnce() + Send + 'static, end: impl FnOnce()) -> Wait {
    told_until(f, |thread| {
        end();
        thread.join().unwrap();
    })
}

/// The same; its wait is over, or the thread, after `end`.
#[track_caller]
fn told_until(f: impl FnOnce() + Send + 'static, end: impl FnOnce(JoinHandle<()>)) -> Wait {
    let before = all();
    let from = clock::now();
    let thread = at(MIDDLE, f);
    settle();
    let wait = new(&before);
    assert!(from <= wait.since && wait.since <= clock::now(), "{wait:?}");
    assert_eq!(new(&before), wait, "it waits still");
    end(thread);
    assert_eq!(all().len(), before.len());
    wait
}

fn waits() {
    let _ = granted(0).receive();
}

fn every_wait_is_told() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let end = move || threads::endpoint(slot);
    let send = told(move || end().send(&label(1)).unwrap(), || assert!(end().receive().is_ok()));
    assert_eq!((send.kind, send.whom), (WaitKind::Send, 0));
    let receive = told(move || assert!(end().receive().is_ok()), || end().send(&label(1)).unwrap());
    assert_eq!((receive.kind, receive.whom), (WaitKind::Receive, 0));
    let call = told(
        move || assert_eq!(end().call(&label(1)), Ok(label(2))),
        || {
            assert!(end().receive().unwrap().is_call);
            reply(&label(2)).unwrap();
        },
    );
    assert_eq!((call.kind, call.whom), (WaitKind::Reply, 0));
    let word = Notification::create().unwrap();
    let given = word.slot();
    let signal = told(
        move || {
            let word = core::mem::ManuallyDrop::new(Notification::from_slot(given));
            assert_eq!(word.wait(), Ok(1));
        },
        || word.signal(1).unwrap(),
    );
    assert_eq!((signal.kind, signal.whom), (WaitKind::Signal, 0));
    let sleep = told_until(|| clock::sleep_until(u64::MAX - 1), threads::end);
    assert_eq!((sleep.kind, sleep.whom), (WaitKind::Sleep, 0));
    let other = Worker::new(MIDDLE, |_| (), 0);
    let of = other.slot();
    let wait = told(
        move || {
            let registers = Registers::control([of.bits(), u64::MAX, 0, 0]);
            assert_eq!(raw::call(Syscall::ThreadWait, registers).code, 0);
        },
        || other.start().unwrap(),
    );
    assert!(wait.kind == WaitKind::Thread && wait.whom != 0, "{wait:?}");
    // Each of these threads was another one, all of this process.
    let all = [send, receive, call, signal, sleep, wait];
    assert!(all.windows(2).all(|pair| pair[0].thread < pair[1].thread));
    assert!(all.iter().all(|wait| wait.process == send.process));
}

/// Takes a call, and asks another one.
fn asks() {
    let (mine, other) = (granted(0), granted(1));
    mine.bind(bootstrap().thread).unwrap();
    assert!(mine.receive().unwrap().is_call);
    let _ = other.call(&label(1));
}

/// Caller, server, server's server: each is told with the next; a call that is kept, and one that is queued at a bound
/// endpoint, too.
fn a_chain_is_told_from_thread_to_thread() {
    let (first, second) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
    let before = all();
    let child = children::start("asks", |spawn| {
        spawn.grant(first.slot(), Rights::RECEIVE, 0).grant(second.slot(), Rights::SEND, 0)
    });
    settle();
    let server = new(&before);
    assert_eq!(server.kind, WaitKind::Receive);
    let before = all();
    let asking = caller(first.slot(), 1);
    let wait = new(&before);
    assert_eq!((wait.kind, wait.whom), (WaitKind::Reply, server.thread));
    let of = |thread| {
        let all = all();
        let found = all.iter().find(|wait| wait.thread == thread).copied();
        found.unwrap_or_else(|| panic!("{thread}: {all:?}"))
    };
    assert_eq!((of(server.thread).kind, of(server.thread).whom), (WaitKind::Reply, 0));
    // At the bound endpoint, while its thread is busy.
    let before = all();
    let queued = caller(first.slot(), 2);
    let wait = new(&before);
    assert_eq!((wait.kind, wait.whom), (WaitKind::Reply, server.thread));
    // This thread takes the server's call, and keeps it.
    assert!(second.receive().unwrap().is_call);
    assert_ne!(of(server.thread).whom, 0);
    let kept = Reply::keep().unwrap();
    assert_eq!((of(server.thread).kind, of(server.thread).whom), (WaitKind::Reply, 0));
    kept.answer(&label(3)).unwrap();
    settle();
    drop((child, asking));
    drop(first);
    threads::end(queued);
}

fn the_dump_goes_through_all_processes() {
    let endpoint = Endpoint::create().unwrap();
    let before = all();
    let children: Vec<_> = (0..20)
        .map(|_| children::start("waits", |s| s.grant(endpoint.slot(), Rights::RECEIVE, 0)))
        .collect();
    settle();
    let after = all();
    assert_eq!(after.len(), before.len() + 20);
    let numbers: Vec<_> = after.iter().map(|wait| (wait.process, wait.thread)).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    for child in &children {
        child.process.kill().unwrap();
        child.wait().unwrap();
    }
    assert_eq!(all(), before);
}

/// More than one step of the kernel's looks at, and some of them end in the middle of the dump.
fn every_thread_is_told_once() {
    let before = all().len();
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let mut threads: Vec<_> =
        (0..200).map(|_| Some(at(MIDDLE, move || threads::endpoint(slot).receive()))).collect();
    settle();
    assert_eq!(all().len(), before + 200);
    let (mut seen, mut last) = (0, 0);
    for (place, wait) in system::waits().map(Result::unwrap).enumerate() {
        assert!(wait.thread > last || wait.process > 1, "{wait:?} twice");
        last = wait.thread;
        seen += 1;
        // Those that were told, and those that were not, two by two.
        if place % 10 == 0 && place < 100 {
            threads::end(threads[place].take().unwrap());
            threads::end(threads[199 - place].take().unwrap());
        }
        // Another dump goes on at the same time.
        if place % 7 == 0 {
            assert!(system::waits().take(3).all(|wait| wait.is_ok()));
        }
    }
    assert!(seen >= before + 200 - 20 && seen <= before + 200, "{seen}");
}

/// This thread itself is not told, and who waits no more is not.
fn what_has_ended_or_runs_is_left_out() {
    let before = all();
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    let thread = at(MIDDLE, move || threads::endpoint(slot).receive());
    settle();
    let wait = new(&before);
    assert!(own_thread().inspect().is_ok());
    endpoint.send(&label(1)).unwrap();
    // It is ready now.
    assert!(!all().contains(&wait));
    thread.join().unwrap().unwrap();
    assert_eq!(all(), before);
}

fn it_needs_its_right() {
    let system = bootstrap().system;
    let registers = |slot: CapSlot| raw::control([slot.bits(), 0, 0]);
    raw::refuse(Syscall::SystemWaits, registers(CapSlot::NULL), Error::EmptySlot);
    let endpoint = Endpoint::create().unwrap();
    raw::refuse(Syscall::SystemWaits, registers(endpoint.slot()), Error::WrongKind);
    let rights = Rights::LOG | Rights::SHUTDOWN;
    let less = orbital_user::capability::copy_to(system, CapSlot::NULL, rights, 0).unwrap();
    raw::refuse(Syscall::SystemWaits, registers(less), Error::MissingRights);
    // Behind all there are: nothing, in every register.
    for behind in [[u64::MAX, u64::MAX], [u64::MAX, 0], [1 << 40, 7]] {
        let mut registers = NOISE;
        registers.control = [system.bits(), behind[0], behind[1], 5];
        let left = raw::call(Syscall::SystemWaits, registers);
        assert_eq!(left, raw::Left::well(Registers::default()));
    }
}
