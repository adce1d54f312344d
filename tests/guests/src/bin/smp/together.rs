//! All CPUs run at the same time, and see the same memory.
#![forbid(unsafe_code)]

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};

use guests::{
    cpus::{self, MOST, be_equal, bit, scaled, until},
    random::Random,
    threads::{MIDDLE, at},
    workers::{Own, Worker, parts},
};
use orbital_user::{
    abi::statistics::Statistic,
    sync::Mutex,
    system::statistic,
    thread::{spawn, yield_now},
};

use super::{COUNT, TURNS};

static REACHED: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

/// Waits, without leaving user mode, until all have come to `point`.
fn meet(me: usize, all: usize, point: u64) {
    REACHED[me].store(point, SeqCst);
    while REACHED[..all].iter().any(|reached| reached.load(SeqCst) < point) {
        core::hint::spin_loop();
    }
}

const ROUNDS: u64 = 100;

fn goes_in_step(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    let switches = || statistic(Statistic::ContextSwitches).expect("the right to read counters");
    meet(me, all, 1);
    let before = switches();
    for point in 2..2 + ROUNDS {
        meet(me, all, point);
    }
    let after = switches();
    meet(me, all, 2 + ROUNDS);
    assert_eq!(after, before, "someone gave way to another");
}

/// As many threads as there are CPUs go in step, in user mode: each sees the others move on a hundred
/// times, while there is no switch on any CPU.
pub(super) fn all_cpus_run_at_once() {
    let all = cpus::count();
    let start = |cpu| Worker::on(bit(cpu), MIDDLE, goes_in_step, parts(&[cpu, all]));
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in &threads {
        thread.wait().expect("its end");
    }
    assert!(REACHED[..all].iter().all(|reached| reached.load(SeqCst) == 2 + ROUNDS));
}

/// Sixteen threads on all CPUs take memory, fill it and give it back; nobody finds another's words.
pub(super) fn sixteen_threads_use_the_heap() {
    be_equal();
    let rounds = scaled(1000);
    let threads: Vec<_> = (0..16)
        .map(|me| {
            spawn(move || {
                let mut random = Random::new(me);
                let mut kept: [Vec<u64>; 4] = Default::default();
                for round in 0..rounds {
                    let place = random.below(4) as usize;
                    let tag = me << 32 | round;
                    let old = core::mem::take(&mut kept[place]);
                    assert!(old.iter().all(|word| *word == old[0] && word >> 32 == me));
                    drop(old);
                    kept[place] = alloc::vec![tag; 1 + random.below(200) as usize];
                }
            })
            .unwrap()
        })
        .collect();
    for thread in threads {
        assert_eq!(thread.join(), Ok(()));
    }
}

/// Sixteen threads add to a number that a mutex guards; no addition is lost, no two are in at once.
pub(super) fn sixteen_threads_share_a_mutex() {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    be_equal();
    let rounds = scaled(1000);
    let number = Arc::new(Mutex::new(0u64));
    let adds = |_| {
        let number = number.clone();
        at(MIDDLE, move || {
            for round in 0..rounds {
                let mut guard = number.lock();
                assert!(!INSIDE.swap(true, SeqCst));
                let old = *guard;
                if round % 16 == 0 {
                    yield_now();
                }
                *guard = old + 1;
                assert!(INSIDE.swap(false, SeqCst));
            }
        })
    };
    let threads: Vec<_> = (0..16).map(adds).collect();
    for thread in threads {
        assert_eq!(thread.join(), Ok(()));
    }
    assert_eq!(*number.lock(), 16 * rounds);
}

static DATA: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

fn passes_on(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    for round in 1..=TURNS.load(SeqCst) as usize {
        let wanted = ((round - 1) * all + me) as u64;
        // Release and acquire alone order the word and the number of its round.
        until(|| COUNT.load(Acquire) == wanted);
        let before = DATA[(me + all - 1) % all].load(Relaxed);
        assert_eq!(before, wanted.wrapping_mul(0x9e37_79b9_7f4a_7c15), "round {round}");
        DATA[me].store((wanted + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15), Relaxed);
        COUNT.store(wanted + 1, Release);
    }
}

/// One thread a CPU: each finds in shared memory what the one before it has written, round after round.
pub(super) fn memory_is_shared_across_cpus() {
    be_equal();
    TURNS.store(scaled(1000), SeqCst);
    let all = cpus::count();
    let start = |cpu| Worker::on(bit(cpu), MIDDLE, passes_on, parts(&[cpu, all]));
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in &threads {
        thread.wait().expect("its end");
    }
    assert_eq!(COUNT.load(SeqCst), TURNS.load(SeqCst) * all as u64);
}
