//! Many threads that are started on one CPU spread over all.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use guests::{
    cpus::{ALL, MOST, here},
    workers::{Own, Worker, parts},
};

use super::{LOW, others, wait_until};

static REACHED: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static PLACES: [AtomicUsize; MOST] = [const { AtomicUsize::new(MOST) }; MOST];

fn meet(me: usize, all: usize, point: u64) {
    REACHED[me].store(point, SeqCst);
    wait_until(|| REACHED[..all].iter().all(|reached| reached.load(SeqCst) >= point));
}

fn meets_elsewhere(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    for round in 0..100 {
        PLACES[me].store(here(), SeqCst);
        meet(me, all, 2 * round + 1);
        let found = || PLACES[..all].iter().map(|place| place.load(SeqCst));
        let have_spread = (0..all).all(|cpu| found().any(|place| place == cpu));
        meet(me, all, 2 * round + 2);
        if have_spread {
            return;
        }
    }
    panic!("two share a CPU all the time: {PLACES:?}");
}

/// As many threads as there are CPUs, all started on one, soon have a CPU each.
pub(super) fn as_many_threads_as_cpus_spread() {
    let all = others() + 1;
    let start = |me| {
        let thread = Worker::new(LOW, meets_elsewhere, parts(&[me, all]));
        thread.set_affinity(ALL).unwrap();
        thread.start().unwrap();
        thread
    };
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in threads {
        thread.wait().unwrap();
    }
}

static COUNTS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

fn counts_until_all_have(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    wait_until(|| {
        COUNTS[me].fetch_add(1, SeqCst);
        COUNTS[..all].iter().all(|count| count.load(SeqCst) >= 1000)
    });
}

/// Three times as many threads as CPUs, which never give way, all go on.
pub(super) fn more_threads_than_cpus_all_go_on() {
    let all = 3 * (others() + 1);
    let start = |me| {
        let thread = Worker::new(LOW, counts_until_all_have, parts(&[me, all]));
        thread.set_affinity(ALL).unwrap();
        thread.start().unwrap();
        thread
    };
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in threads {
        thread.wait().unwrap();
    }
}
