//! Threads that run: they are stopped anywhere, and stop and end themselves.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use guests::{
    pattern::General,
    scene::{note, result},
    threads::{MIDDLE, settle},
    workers::{Own, Worker},
};
use orbital_user::ExitReason;

use super::let_run;

static COUNTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

fn counts(own: &Own) {
    loop {
        COUNTS[own.part(0)].fetch_add(1, SeqCst);
    }
}

fn counted() -> [u64; 2] {
    COUNTS.each_ref().map(|count| count.load(SeqCst))
}

/// Of two threads that spin, the one that is suspended stands still while the other goes on.
pub(super) fn a_suspended_thread_stands_still() {
    let threads = [0, 1].map(|me| Worker::start(MIDDLE, counts, me));
    for round in 0..20 {
        let still = round % 2;
        threads[still].suspend().unwrap();
        let before = counted();
        let_run();
        let after = counted();
        assert_eq!(after[still], before[still], "round {round}");
        assert_ne!(after[1 - still], before[1 - still], "round {round}");
        threads[still].resume().unwrap();
        let_run();
        assert_ne!(counted()[still], after[still], "round {round}");
    }
}

/// A thread that suspends itself stops in the call, and comes out of it when it is resumed.
pub(super) fn a_thread_suspends_itself() {
    let suspends = |own: &Own| {
        for turn in 0..50 {
            note(Ok(2 * turn));
            assert_eq!(own.suspend(), Ok(()));
            note(Ok(2 * turn + 1));
        }
    };
    let worker = Worker::start(MIDDLE, suspends, 0);
    for turn in 0..50 {
        settle();
        assert_eq!(result(), 100 + 2 * turn);
        assert_eq!(worker.resume(), Ok(()));
    }
    assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(result(), 199);
}

/// A thread that kills itself does not come out of the call.
pub(super) fn a_thread_kills_itself() {
    let kills = |own: &Own| {
        note(Ok(1));
        let _ = own.kill();
        note(Ok(2));
    };
    let worker = Worker::start(MIDDLE, kills, 0);
    assert_eq!(worker.wait(), Ok(ExitReason::Killed));
    settle();
    assert_eq!(result(), 101);
}

/// A thread with a pattern in all registers is stopped at random places, beside another; the pattern
/// is whole.
pub(super) fn registers_survive_suspension() {
    static BROKEN: AtomicBool = AtomicBool::new(false);
    let holds = |own: &Own| {
        let mut pattern = General::new(own.argument);
        while pattern.hold(1000) {
            COUNTS[own.part(0)].fetch_add(1, SeqCst);
        }
        BROKEN.store(true, SeqCst);
    };
    let threads = [0, 1].map(|me| Worker::start(MIDDLE, holds, me));
    for round in 0..100 {
        let thread = &threads[round % 2];
        thread.suspend().unwrap();
        let_run();
        thread.resume().unwrap();
        let_run();
    }
    let before = counted();
    let_run();
    (0..2).for_each(|me| assert_ne!(counted()[me], before[me], "thread {me} stands still"));
    assert!(!BROKEN.load(SeqCst));
}
