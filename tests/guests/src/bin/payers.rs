//! What servers run by the priority of a caller with a budget is charged to that: its share of the CPU is theirs.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{be_equal, bit, pairs, until},
    own_thread, suite,
    threads::{MIDDLE, endpoint, label, settle},
    workers::{Own, Worker, parts},
};
use orbital_user::{CapSlot, Endpoint, clock};

suite! {
    on "icount pinned": [
        a_server_has_its_caller_s_share,
        the_last_of_a_chain_has_the_first_caller_s_share,
        a_caller_without_a_budget_lends_without_limit,
    ],
    on "cpus=2,4": [a_server_on_another_cpu_has_its_turns_and_leaves_others_theirs],
    roles: [],
}

const MS: u64 = 1_000_000;
/// The server's own, below the one that spins.
const LOW: u8 = MIDDLE - 10;
/// The number of the state of a thread that waits.
const BLOCKED: u64 = 4;
/// The caller's.
const HIGH: u8 = MIDDLE + 10;

static SERVED: AtomicU64 = AtomicU64::new(0);
static SPUN: AtomicU64 = AtomicU64::new(0);

fn counts(counter: &AtomicU64) {
    loop {
        counter.fetch_add(1, SeqCst);
    }
}

fn spins(_: &Own) {
    counts(&SPUN);
}

fn calls(own: &Own) {
    let _ = endpoint(own.slot()).call(&label(1));
}

/// Takes a call and never answers it.
fn serves(own: &Own) {
    endpoint(own.slot()).receive().unwrap();
    counts(&SERVED);
}

/// Hands a call on: the arguments are its own slot and the next one's.
fn hands_on(own: &Own) {
    let [mine, next] = [0, 2]
        .map(|place| endpoint(CapSlot::new(own.part(place) as u32, own.part(place + 1) as u32)));
    mine.receive().unwrap();
    let _ = next.call(&label(1));
}

/// So many servers, each of which calls the next one; at the first one's endpoint one can call. Never asked again.
fn chain(length: usize) -> (Endpoint, Vec<Worker>) {
    let mut first = Endpoint::create().unwrap();
    let mut servers = Vec::from([Worker::start(LOW, serves, first.slot().bits())]);
    for _ in 1..length {
        let before = Endpoint::create().unwrap();
        let slots = [before.slot(), first.slot()];
        let each = slots.map(|slot| [slot.index() as usize, slot.generation() as usize]);
        servers.push(Worker::start(LOW, hands_on, parts(each.as_flattened())));
        // Its slot is the next server's from here on.
        core::mem::forget(core::mem::replace(&mut first, before));
    }
    settle();
    (first, servers)
}

/// What of each ten thousand turns the server has, beside one that spins and is more urgent by itself, and whose caller
/// has a share.
fn served(length: usize, share: Option<(u64, u64)>) -> u64 {
    let (first, _servers) = chain(length);
    let caller = Worker::new(HIGH, calls, first.slot().bits());
    if let Some((budget, period)) = share {
        caller.set_budget(budget, period).unwrap();
    }
    let _spinner = Worker::start(MIDDLE, spins, 0);
    caller.start().unwrap();
    clock::sleep(20 * MS);
    let before = [&SERVED, &SPUN].map(|counter| counter.load(SeqCst));
    clock::sleep(300 * MS);
    let [served, spun] = [&SERVED, &SPUN].map(|counter| counter.load(SeqCst));
    let (served, spun) = (served - before[0], spun - before[1]);
    served * 10_000 / (served + spun)
}

#[track_caller]
fn is_about(share: u64, percent: u64) {
    assert!(
        share.abs_diff(percent * 100) <= 100,
        "{share} hundredths of a percent, not {percent} %"
    );
}

fn a_server_has_its_caller_s_share() {
    is_about(served(1, Some((2 * MS, 10 * MS))), 20);
    is_about(served(1, Some((7 * MS, 10 * MS))), 70);
}

fn the_last_of_a_chain_has_the_first_caller_s_share() {
    is_about(served(3, Some((3 * MS, 10 * MS))), 30);
    is_about(served(30, Some((3 * MS, 10 * MS))), 30);
}

fn a_caller_without_a_budget_lends_without_limit() {
    assert_eq!(served(1, None), 10_000);
}

/// Caller and server on each pair of CPUs: the server has turns beside the one that spins, which would not be without
/// what is lent to it; and that one has some, which would not be if nobody paid.
fn a_server_on_another_cpu_has_its_turns_and_leaves_others_theirs() {
    be_equal();
    for (from, to) in pairs() {
        own_thread().set_affinity(bit(from)).unwrap();
        let end = Endpoint::create().unwrap();
        let server = Worker::on(bit(to), LOW, serves, end.slot().bits());
        until(|| server.inspect().unwrap().state >= BLOCKED);
        let _spinner = Worker::on(bit(to), MIDDLE, spins, 0);
        let caller = Worker::new(HIGH, calls, end.slot().bits());
        caller.set_affinity(bit(from)).unwrap();
        caller.set_budget(MS, 4 * MS).unwrap();
        caller.start().unwrap();
        for _ in 0..3 {
            for counter in [&SERVED, &SPUN] {
                let before = counter.load(SeqCst);
                until(|| counter.load(SeqCst) > before + 100);
            }
        }
    }
}
