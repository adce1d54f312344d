//! What stands is told once while others come and go, and long tables take no long steps.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use guests::{
    children, cpus, places,
    threads::{self, MIDDLE, at},
    workers::Worker,
};
use orbital_user::{
    CapSlot, Endpoint, Error, Process, Rights, Thread,
    capability::{close, copy_to, revoke},
    println,
    system::{self, take_interrupts_off},
    thread::JoinHandle,
};

use super::{capabilities_of, number, own};

static OVER: AtomicBool = AtomicBool::new(false);
static DONE: AtomicU64 = AtomicU64::new(0);

/// How often everything is looked at.
const LOOKS: u64 = 30;

/// Processes, threads and capabilities are made, copied, revoked, and ended.
fn disturb(slot: CapSlot) {
    while !OVER.load(SeqCst) {
        let process = Process::create("passing", 16, 32 * 1024).unwrap();
        let source = copy_to(slot, CapSlot::NULL, Rights::all(), 0).unwrap();
        for _ in 0..5 {
            copy_to(source, process.slot(), Rights::all(), 0).unwrap();
            copy_to(source, CapSlot::NULL, Rights::all(), 0).unwrap();
        }
        drop(Worker::start(MIDDLE, |_| (), 0));
        // Another walk through the same threads.
        assert!(system::threads().take(3).all(|thread| thread.is_ok()));
        process.kill().unwrap();
        revoke(source).unwrap();
        close(source).unwrap();
        DONE.fetch_add(1, SeqCst);
    }
}

/// Each of `standing` is among `told` exactly once.
#[track_caller]
fn once<T: PartialEq + core::fmt::Debug>(standing: &[T], told: &[T]) {
    for one in standing {
        let count = told.iter().filter(|other| *other == one).count();
        assert_eq!(count, 1, "{one:?} of {standing:?} in {told:?}");
    }
}

fn look_at_a_crowd() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot();
    OVER.store(false, SeqCst);
    DONE.store(0, SeqCst);
    let starts = |_| children::start("waits", |spawn| spawn.grant(slot, Rights::RECEIVE, 0));
    let standing: Vec<_> = (0..3).map(starts).collect();
    let waits = |_| at(MIDDLE, move || threads::endpoint(slot).receive());
    let waiting: Vec<_> = (0..40).map(waits).collect();
    let copies: Vec<_> = (0..60)
        .map(|badge| copy_to(slot, CapSlot::NULL, Rights::SEND, badge + 1).unwrap())
        .collect();
    let disturbers: Vec<JoinHandle<()>> =
        (0..cpus::count()).map(|_| at(MIDDLE, move || disturb(slot))).collect();
    let processes: Vec<u64> = standing.iter().map(|it| number(it.process.slot())).collect();
    let of = |thread: &Thread| number(thread.slot());
    let mut all: Vec<u64> = waiting.iter().map(|it| of(it.thread())).collect();
    all.extend(standing.iter().map(|it| of(&it.thread)));
    for look in 0..LOOKS {
        let told: Vec<_> = system::processes().map(|it| it.unwrap().id).collect();
        once(&processes, &told);
        let told: Vec<_> = system::threads().map(|it| it.unwrap().id).collect();
        once(&all, &told);
        let told: Vec<_> = capabilities_of(own()).iter().map(|it| it.slot).collect();
        once(&copies, &told);
        // Others' tables, also while they end.
        for process in system::processes().map(Result::unwrap) {
            system::capabilities(process.id).for_each(|it| assert!(it.is_ok()));
        }
        cpus::until(|| DONE.load(SeqCst) > look);
    }
    OVER.store(true, SeqCst);
    for disturber in disturbers {
        disturber.join().unwrap();
    }
    for copy in copies {
        close(copy).unwrap();
    }
    for child in &standing {
        child.process.kill().unwrap();
        child.wait().unwrap();
    }
    // Whoever waited is told that the endpoint is gone.
    drop(endpoint);
    for thread in waiting {
        assert!(thread.join().unwrap().is_err());
    }
}

pub(super) fn what_stands_is_told_once_among_all_that_comes_and_goes() {
    cpus::be_equal();
    places::pave(64 << 20);
    // How much is there at once hangs on how others run: heap and table are as large beforehand as they may become.
    drop(Vec::<u8>::with_capacity(4 << 20));
    let endpoint = Endpoint::create().unwrap();
    let copy = |_| copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, 0).unwrap();
    let copies: Vec<CapSlot> = (0..2_000).map(copy).collect();
    copies.into_iter().for_each(|slot| close(slot).unwrap());
    drop(endpoint);
    cpus::leave_nothing(2, look_at_a_crowd);
}

/// A table of a hundred thousand slots, of which the last one alone holds something in the end.
pub(super) fn an_empty_stretch_is_passed_in_short_steps() {
    const SLOTS: usize = 100_000;
    let endpoint = Endpoint::create().unwrap();
    let before = capabilities_of(own()).len();
    let copy = || copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, 0).unwrap();
    let copies: Vec<CapSlot> = (0..SLOTS).map(|_| copy()).collect();
    assert!(copies.last().unwrap().index() as usize >= SLOTS);
    let told = system::capabilities(own()).inspect(|it| assert!(it.is_ok())).count();
    assert_eq!(told, before + SLOTS);
    let (last, others) = copies.split_last().unwrap();
    others.iter().for_each(|slot| close(*slot).unwrap());
    take_interrupts_off(0).unwrap();
    let told = capabilities_of(own());
    let longest = take_interrupts_off(0).unwrap();
    println!("{longest} instructions");
    assert_eq!((told.len(), told.last().unwrap().slot), (before + 1, *last));
    assert!(longest < 40_000, "{longest} instructions in a debug build");
    close(*last).unwrap();
    assert_eq!(capabilities_of(own()).len(), before);
    assert_eq!(close(*last), Err(Error::StaleCapability));
}
