//! Several CPUs ask for something of one thread at the same time.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use guests::{
    cpus::{self, be_equal, bit, pairs, scaled, until},
    own_thread,
    scene::{COUNT, forget, note, result},
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{Error, ExitReason, Thread};

/// A thread stops itself on one CPU, again and again; each time it goes on when another CPU says so, and
/// not before.
pub(super) fn a_thread_that_suspends_itself_is_resumed_from_elsewhere() {
    let suspends = |own: &Own| {
        for turn in 0..own.argument {
            note(Ok(2 * turn));
            assert_eq!(own.suspend(), Ok(()));
            note(Ok(2 * turn + 1));
        }
    };
    let turns = 50;
    for (here, there) in pairs() {
        be_equal();
        own_thread().set_affinity(bit(here)).unwrap();
        forget();
        let worker = Worker::on(bit(there), MIDDLE, suspends, turns);
        for turn in 0..turns {
            until(|| result() == 100 + 2 * turn);
            // Someone less urgent has a turn there: so it has stopped.
            Worker::on(bit(there), 0, |_| (), 0).wait().unwrap();
            assert_eq!(result(), 100 + 2 * turn);
            assert_eq!(worker.resume(), Ok(()));
        }
        assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
        assert_eq!(result(), 100 + 2 * turns - 1);
    }
}

static ROUNDS: AtomicU64 = AtomicU64::new(0);
static GO: AtomicBool = AtomicBool::new(false);

fn counts(_: &Own) {
    loop {
        COUNT.fetch_add(1, SeqCst);
    }
}

fn stops_and_lets_go_on(own: &Own) {
    let thread = ManuallyDrop::new(Thread::from_slot(own.slot()));
    for _ in 0..ROUNDS.load(SeqCst) {
        assert_eq!(thread.suspend(), Ok(()));
        assert_eq!(thread.resume(), Ok(()));
    }
}

/// A thread on each CPU stops one and lets it go on, many times; at the end it goes on. Stopped once
/// more, it stands still.
pub(super) fn a_thread_is_stopped_and_let_go_on_from_all_cpus_at_once() {
    be_equal();
    ROUNDS.store(scaled(1000), SeqCst);
    for there in 0..cpus::count() {
        let thread = Worker::on(bit(there), MIDDLE, counts, 0);
        let start = |cpu| Worker::on(bit(cpu), MIDDLE, stops_and_lets_go_on, thread.slot().bits());
        let hands: Vec<_> = (0..cpus::count()).map(start).collect();
        for hand in &hands {
            assert_eq!(hand.wait(), Ok(ExitReason::Exited(0)));
        }
        let before = COUNT.load(SeqCst);
        until(|| COUNT.load(SeqCst) > before);
        thread.suspend().unwrap();
        let before = COUNT.load(SeqCst);
        Worker::on(bit(there), 0, |_| (), 0).wait().unwrap();
        assert_eq!(COUNT.load(SeqCst), before);
    }
}

fn kills(own: &Own) {
    let thread = ManuallyDrop::new(Thread::from_slot(own.slot()));
    while !GO.load(SeqCst) {
        core::hint::spin_loop();
    }
    match thread.kill() {
        Ok(()) | Err(Error::Ended) => {}
        Err(error) => panic!("{error}"),
    }
    // Whoever comes back finds it ended.
    assert_eq!(thread.try_wait(), Ok(ExitReason::Killed));
}

/// A thread that runs is killed by one on each CPU: each finds that it has ended.
pub(super) fn a_thread_is_killed_from_all_cpus_at_once() {
    be_equal();
    for _ in 0..scaled(200) {
        for there in 0..cpus::count() {
            GO.store(false, SeqCst);
            let thread = Worker::on(bit(there), MIDDLE, counts, 0);
            let start = |cpu| Worker::on(bit(cpu), MIDDLE, kills, thread.slot().bits());
            let hands: Vec<_> = (0..cpus::count()).map(start).collect();
            GO.store(true, SeqCst);
            for hand in &hands {
                assert_eq!(hand.wait(), Ok(ExitReason::Exited(0)));
            }
            let before = COUNT.load(SeqCst);
            Worker::on(bit(there), 0, |_| (), 0).wait().unwrap();
            assert_eq!(COUNT.load(SeqCst), before, "it runs on");
        }
    }
}
