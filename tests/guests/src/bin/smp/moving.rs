//! Threads that are sent from one CPU to another, in whatever they are doing.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::SeqCst;

use guests::{
    cpus::{be_equal, bit, here, learn, pairs, until},
    own_thread,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::{Endpoint, thread::yield_now};

use super::{BLOCKED, COUNT, SEEN, WOKEN, notes_where, shown, shows_where};

/// A thread goes from each CPU to each other by its own wish, and is there when the call returns.
pub(super) fn a_thread_moves_itself() {
    be_equal();
    learn();
    let moves = |own: &Own| {
        for _ in 0..20 {
            for (from, to) in pairs() {
                for cpu in [from, to] {
                    own.set_affinity(bit(cpu)).expect("a CPU");
                    assert_eq!(here(), cpu, "from {from} to {to}");
                    assert_eq!(own.inspect().map(|i| (i.cpu, i.affinity)), Ok((cpu, bit(cpu))));
                }
            }
        }
    };
    Worker::start(MIDDLE, moves, 0).wait().expect("its end");
}

/// A thread that never enters the kernel by itself is sent from each CPU to each other, and runs there
/// alone once the call has returned.
pub(super) fn a_running_thread_is_moved() {
    be_equal();
    learn();
    let runner = Worker::start(MIDDLE, shows_where, 0);
    for _ in 0..5 {
        for (from, to) in pairs() {
            for cpu in [from, to] {
                runner.set_affinity(bit(cpu)).unwrap();
                assert_eq!(shown(), cpu, "from {from} to {to}");
                assert_eq!(runner.inspect().map(|i| (i.cpu, i.affinity)), Ok((cpu, bit(cpu))));
            }
        }
    }
}

fn spins(_: &Own) {
    loop {
        core::hint::spin_loop();
    }
}

/// A thread that waits for its turn behind a more urgent one on another CPU gets it where it is sent.
pub(super) fn a_ready_thread_is_moved() {
    be_equal();
    learn();
    for (from, to) in pairs().filter(|(from, to)| from != to) {
        own_thread().set_affinity(bit(to)).unwrap();
        let _hog = Worker::on(bit(from), MIDDLE + 1, spins, 0);
        let ready = Worker::on(bit(from), MIDDLE, notes_where, 0);
        until(|| ready.inspect().unwrap().cpu == from);
        (0..100).for_each(|_| yield_now());
        assert_eq!(ready.inspect().unwrap().state, WOKEN, "on CPU {from}");
        let before = COUNT.load(SeqCst);
        ready.set_affinity(bit(to)).unwrap();
        ready.wait().unwrap();
        assert_eq!((COUNT.load(SeqCst), SEEN.load(SeqCst)), (before + 1, to), "from {from}");
    }
}

fn receives_and_notes_where(own: &Own) {
    endpoint(own.slot()).receive().expect("a message");
    notes_where(own);
}

/// A thread that waits for a message on one CPU gets it on the one where it is sent meanwhile.
pub(super) fn a_blocked_thread_is_moved() {
    be_equal();
    learn();
    let endpoint = Endpoint::create().unwrap();
    for (from, to) in pairs() {
        let slot = endpoint.slot().bits();
        let blocked = Worker::on(bit(from), MIDDLE, receives_and_notes_where, slot);
        until(|| blocked.inspect().unwrap().state == BLOCKED);
        assert_eq!(blocked.inspect().unwrap().cpu, from);
        blocked.set_affinity(bit(to)).unwrap();
        (0..10).for_each(|_| yield_now());
        assert_eq!(blocked.inspect().unwrap().state, BLOCKED, "it was woken");
        endpoint.send(&label(0)).unwrap();
        blocked.wait().unwrap();
        assert_eq!(SEEN.load(SeqCst), to, "from {from}");
    }
}

/// A thread starts on the CPU that was named before its start.
pub(super) fn a_thread_not_started_is_moved() {
    be_equal();
    learn();
    for (from, to) in pairs() {
        own_thread().set_affinity(bit(from)).unwrap();
        let thread = Worker::new(MIDDLE, notes_where, 0);
        assert_eq!(thread.inspect().map(|i| (i.cpu, i.affinity)), Ok((from, bit(from))));
        thread.set_affinity(bit(to)).unwrap();
        thread.start().unwrap();
        thread.wait().unwrap();
        assert_eq!(SEEN.load(SeqCst), to, "from {from}");
    }
}

/// A thread that was stopped on one CPU goes on on another.
pub(super) fn a_suspended_thread_is_moved() {
    be_equal();
    learn();
    let runner = Worker::start(MIDDLE, shows_where, 0);
    for (from, to) in pairs() {
        runner.set_affinity(bit(from)).unwrap();
        assert_eq!(shown(), from);
        runner.suspend().unwrap();
        let count = COUNT.load(SeqCst);
        runner.set_affinity(bit(to)).unwrap();
        (0..10).for_each(|_| yield_now());
        assert_eq!(COUNT.load(SeqCst), count, "it goes on while it is suspended");
        runner.resume().unwrap();
        assert_eq!(shown(), to, "from {from}");
    }
}
