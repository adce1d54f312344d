//! Capabilities that were derived from others: what revoking kills in which process, what moving keeps, and what
//! stands when the one who revokes does not.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::num::NonZeroU64;

use guests::{
    children,
    counters::leaves_nothing,
    cpus::scaled,
    own_thread, suite,
    threads::{self, granted, label},
};
use orbital_user::{
    CapSlot, Endpoint, Error, IpcError, Notification, Process, Rights,
    capability::{close, copy_to, cut_off, inspect, move_to, revoke},
    endpoint::reply,
    spawn::Child,
    start::{bootstrap, exit, take_granted},
    system::take_interrupts_off,
    thread::yield_now,
};

suite! {
    cases: [
        descendants_die_and_others_live,
        a_moved_one_keeps_its_place,
        there_are_at_most_64_above_one,
        a_client_is_cut_off_and_others_are_not,
        a_killed_thread_s_revoke_is_finished,
        nothing_is_left_behind,
    ],
    parallel: [
        nothing_is_begun_after_a_revoke,
        a_killed_process_s_revoke_is_finished,
    ],
    on "icount": [many_die_in_short_steps],
    roles: [passer, client, signaller, revoker],
}

const ALL: Rights = Rights::all();

fn copy(source: CapSlot) -> CapSlot {
    copy_to(source, CapSlot::NULL, ALL, 0).unwrap()
}

#[track_caller]
fn is_dead(slot: CapSlot) {
    assert_eq!(inspect(slot), Err(Error::StaleCapability));
}

/// Takes turns with `child`, and everybody else there is.
fn be_equal_to(child: &Child) {
    let priority = child.thread.inspect().unwrap().priority;
    own_thread().set_priority(priority).unwrap();
}

/// Derives further what it was given, says so, and looks at all of it when it is told to.
fn passer() {
    let (given, gate, go) = (take_granted(0).unwrap(), granted(1), granted(2));
    let mine = copy(given.slot());
    let deeper = copy(mine);
    close(mine).unwrap();
    gate.send(&label(1)).unwrap();
    go.receive().unwrap();
    is_dead(given.slot());
    is_dead(deeper);
}

/// Copies of copies die in each process, and the tree beside them lives on.
fn descendants_die_and_others_live() {
    let [endpoint, gate, go] = [(); 3].map(|()| Endpoint::create().unwrap());
    let handed = copy(endpoint.slot());
    let kept = copy(endpoint.slot());
    let passers: Vec<_> = (0..3)
        .map(|_| {
            children::start("passer", |spawn| {
                let spawn = spawn.grant(handed, ALL, 0).grant(gate.slot(), Rights::SEND, 0);
                spawn.grant(go.slot(), Rights::RECEIVE, 0)
            })
        })
        .collect();
    for _ in &passers {
        assert_eq!(gate.receive().unwrap().message, label(1));
    }
    revoke(handed).unwrap();
    for _ in &passers {
        go.send(&label(0)).unwrap();
    }
    passers.iter().for_each(children::succeed);
    for slot in [endpoint.slot(), handed, kept] {
        assert!(inspect(slot).is_ok());
    }
    for nothing in [CapSlot::NULL, CapSlot::from_bits(u64::MAX)] {
        assert_eq!(revoke(nothing), Err(Error::EmptySlot));
    }
    revoke(endpoint.slot()).unwrap();
    is_dead(handed);
    is_dead(kept);
    assert_eq!(revoke(kept), Err(Error::StaleCapability));
    assert_eq!(endpoint.try_send(&label(0)), Err(IpcError::WouldBlock), "it is there still");
}

fn a_moved_one_keeps_its_place() {
    let endpoint = Endpoint::create().unwrap();
    let process = Process::create("target", 16, 64 * 1024).unwrap();
    let middle = copy(endpoint.slot());
    let child = copy(middle);
    let moved = move_to(middle, CapSlot::NULL).unwrap();
    is_dead(middle);
    assert_eq!(move_to(middle, CapSlot::NULL), Err(Error::StaleCapability));
    assert_eq!(move_to(moved, endpoint.slot()), Err(Error::WrongKind));
    let weak = copy_to(process.slot(), CapSlot::NULL, Rights::WAIT, 0).unwrap();
    assert_eq!(move_to(moved, weak), Err(Error::MissingRights));
    let bare = copy_to(moved, CapSlot::NULL, Rights::SEND, 0).unwrap();
    assert_eq!(move_to(bare, process.slot()), Err(Error::MissingRights));
    assert_eq!(inspect(bare).map(|bare| bare.rights), Ok(Rights::SEND));
    let bare = move_to(bare, CapSlot::NULL).unwrap();
    revoke(moved).unwrap();
    is_dead(child);
    is_dead(bare);
    move_to(moved, process.slot()).unwrap();
    is_dead(moved);
    process.kill().unwrap();
    process.wait().unwrap();
    let rest = copy(endpoint.slot());
    assert_eq!(move_to(rest, process.slot()), Err(Error::Ended));
    assert!(inspect(rest).is_ok());
}

fn there_are_at_most_64_above_one() {
    let endpoint = Endpoint::create().unwrap();
    let mut last = endpoint.slot();
    for _ in 0..64 {
        last = copy(last);
    }
    assert_eq!(copy_to(last, CapSlot::NULL, ALL, 0), Err(Error::TooDeep));
    revoke(endpoint.slot()).unwrap();
    is_dead(last);
}

/// Hands on what it was given, and calls by both until that fails: it says how often it was answered.
fn client() {
    let (given, gate) = (Endpoint::from_slot(take_granted(0).unwrap().into_slot()), granted(1));
    let passed = Endpoint::from_slot(copy(given.slot()));
    let mut count = 0;
    let error = loop {
        match given.call(&label(1)).and_then(|_| passed.call(&label(1))) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    let was_told = matches!(error, IpcError::Revoked | IpcError::StaleCapability);
    assert!(was_told, "{error}");
    for slot in [given.slot(), passed.slot()] {
        is_dead(slot);
    }
    gate.send(&orbital_user::Message::new(0, &[count]).unwrap()).unwrap();
}

/// One of three clients loses its capability, and what it has made of that; the others are served on.
fn a_client_is_cut_off_and_others_are_not() {
    let [endpoint, gate] = [(); 2].map(|()| Endpoint::create().unwrap());
    let clients = [1, 2, 3].map(|badge| {
        children::start("client", |spawn| {
            let spawn = spawn.grant(endpoint.slot(), Rights::SEND | Rights::GRANT, badge);
            spawn.grant(gate.slot(), Rights::SEND, 0)
        })
    });
    let serve = |rounds: u64| {
        let mut calls = [0; 4];
        for _ in 0..rounds {
            let request = endpoint.receive().unwrap();
            calls[request.badge as usize] += 1;
            reply(&label(0)).unwrap();
        }
        calls
    };
    assert!(serve(60)[1..].iter().all(|calls| *calls > 0));
    for (number, client) in clients.iter().enumerate() {
        let badge = NonZeroU64::new(number as u64 + 1).unwrap();
        cut_off(endpoint.slot(), badge).unwrap();
        assert!(gate.receive().unwrap().message.words()[0] > 0);
        children::succeed(client);
        if number < 2 {
            let calls = serve(60);
            assert_eq!(calls[..=number + 1].iter().sum::<u64>(), 0, "a call after the revoke");
            assert!(calls[number + 2..].iter().all(|calls| *calls > 0));
        }
    }
    assert_eq!(endpoint.try_send(&label(0)), Err(IpcError::WouldBlock), "it is there still");
    assert_eq!(cut_off(CapSlot::NULL, NonZeroU64::MIN), Err(Error::EmptySlot));
    cut_off(Notification::create().unwrap().slot(), NonZeroU64::MAX).unwrap();
    cut_off(bootstrap().process, NonZeroU64::MAX).unwrap();
}

/// Signals through what it was given and copies of that, until there is nothing left to signal through.
fn signaller() {
    let given = Notification::from_slot(take_granted(0).unwrap().into_slot());
    let error = loop {
        let copied = given.copy(Rights::SEND, 0).and_then(|copy| copy.signal(1));
        if let Err(error) = given.signal(1).and(copied) {
            break error;
        }
    };
    // What was derived from it may be found to be going before it is gone itself.
    assert!(matches!(error, Error::StaleCapability | Error::Revoked), "{error}");
    while given.signal(1).is_ok() {}
    assert_eq!(given.signal(1), Err(Error::StaleCapability));
}

/// While processes on all CPUs signal, what they do it through is revoked: afterwards no signal comes.
fn nothing_is_begun_after_a_revoke() {
    let notification = Notification::create().unwrap();
    for _ in 0..scaled(100) {
        let handed = copy(notification.slot());
        let others: Vec<_> = (0..3)
            .map(|_| children::start("signaller", |spawn| spawn.grant(handed, ALL, 0)))
            .collect();
        be_equal_to(&others[0]);
        for _ in 0..5 {
            notification.wait().unwrap();
        }
        revoke(handed).unwrap();
        // What came until then.
        let _ = notification.poll();
        for _ in 0..50 {
            yield_now();
            assert_eq!(notification.poll(), Err(Error::WouldBlock), "a signal after the revoke");
        }
        others.iter().for_each(children::succeed);
        close(handed).unwrap();
    }
}

fn family(endpoint: &Endpoint, count: u64) -> Vec<CapSlot> {
    let mut family = Vec::new();
    for number in 0..count {
        // Some of them are children of others.
        let source = if number % 4 == 3 { family[family.len() / 2] } else { endpoint.slot() };
        family
            .push(copy_to(source, CapSlot::NULL, ALL, 0).unwrap_or_else(|_| copy(endpoint.slot())));
    }
    family
}

fn alive(family: &[CapSlot]) -> usize {
    family.iter().filter(|slot| inspect(**slot).is_ok()).count()
}

/// The thread that revokes is killed when some have gone: the others follow.
fn a_killed_thread_s_revoke_is_finished() {
    let endpoint = Endpoint::create().unwrap();
    let root = endpoint.slot();
    for turns in [0, 1, 3, 10] {
        let family = family(&endpoint, 2000);
        let thread = threads::at(255, move || revoke(root));
        let is_refused = || copy_to(root, CapSlot::NULL, ALL, 0).and_then(close).is_err();
        // Until it has begun, or is over already.
        while !is_refused() && inspect(family[1999]).is_ok() {
            yield_now();
        }
        (0..turns).for_each(|_| yield_now());
        threads::end(thread);
        while copy_to(root, CapSlot::NULL, ALL, 0).and_then(close) == Err(Error::Revoked) {
            yield_now();
        }
        assert_eq!(alive(&family), 0);
    }
}

/// Has a family in its parent's table, and revokes it.
fn revoker() {
    let (parent, gate) = (take_granted(0).unwrap(), granted(1));
    let endpoint = Endpoint::create().unwrap();
    let put = || copy_to(endpoint.slot(), parent.slot(), ALL, 0).unwrap();
    let slots: Vec<_> = (0..1000).map(|_| put()).collect();
    let ends = [slots[0].bits(), slots[999].bits()];
    gate.call(&orbital_user::Message::new(0, &ends).unwrap()).unwrap();
    revoke(endpoint.slot()).unwrap();
    exit(0);
}

/// The process that revokes is killed: the others lose what was derived nevertheless.
fn a_killed_process_s_revoke_is_finished() {
    let gate = Endpoint::create().unwrap();
    for turns in [0, 1, 2, 5] {
        let revoker = children::start("revoker", |spawn| {
            spawn.grant(bootstrap().process, Rights::MANAGE, 0).grant(gate.slot(), Rights::SEND, 0)
        });
        let words = gate.receive().unwrap().message;
        let ends = [words.words()[0], words.words()[1]].map(CapSlot::from_bits);
        ends.iter().for_each(|end| assert!(inspect(*end).is_ok()));
        reply(&label(0)).unwrap();
        be_equal_to(&revoker);
        // Until the first has gone, it has not begun.
        while ends.iter().all(|end| inspect(*end).is_ok()) {
            yield_now();
        }
        (0..turns).for_each(|_| yield_now());
        let _ = revoker.process.kill();
        revoker.wait().unwrap();
        ends.into_iter().for_each(is_dead);
    }
}

/// Ten thousand die, a hundred thousand in a long run, and interrupts stay off for as short as ever.
fn many_die_in_short_steps() {
    let endpoint = Endpoint::create().unwrap();
    let family = family(&endpoint, scaled(100_000));
    // One with many children is closed, another moved.
    let middle = copy(endpoint.slot());
    for _ in 0..scaled(10_000) {
        copy(middle);
    }
    take_interrupts_off(0).unwrap();
    let middle = move_to(middle, CapSlot::NULL).unwrap();
    close(middle).unwrap();
    revoke(endpoint.slot()).unwrap();
    let longest = take_interrupts_off(0).unwrap();
    assert!(longest < 40_000, "{longest} instructions in a debug build");
    assert_eq!(alive(&family), 0);
}

fn nothing_is_left_behind() {
    leaves_nothing(5, || {
        let endpoint = Endpoint::create().unwrap();
        let process = Process::create("target", 16, 64 * 1024).unwrap();
        for _ in 0..100 {
            let mine = copy(endpoint.slot());
            let theirs = copy_to(mine, process.slot(), ALL, 0).unwrap();
            assert!(!theirs.is_null());
        }
        let middle = copy(endpoint.slot());
        for _ in 0..100 {
            copy(middle);
        }
        close(middle).unwrap();
        revoke(endpoint.slot()).unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        close(move_to(endpoint.slot(), CapSlot::NULL).unwrap()).unwrap();
    });
}
