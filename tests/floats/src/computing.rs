//! Threads that compute, while others do.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::{
    array,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use guests::{
    cpus::{ALL, be_equal, bit, scaled, until},
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{
    ExitReason,
    abi::{Syscall, statistics::Statistic},
    system::statistic,
};

use crate::registers::hold;

/// More than there are CPUs, so that they take turns everywhere.
const THREADS: usize = 6;
/// Turns of a round: some slices long.
const TURNS: u64 = 20_000;

static STOP: AtomicBool = AtomicBool::new(false);
static ROUNDS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];
static ALONE: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

/// Logistic maps, x -> r x (1 - x), that forget nothing: a bit that is wrong once changes the result. `between` is
/// done after each turn. The values are no array, so that compiled code keeps them in registers.
pub fn chaos(seed: u64, turns: u64, mut between: impl FnMut()) -> u64 {
    let start = |n: usize| 0.1 + 0.031 * n as f64 + 0.000_37 * seed as f64;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h]: [f64; 8] = array::from_fn(start);
    let step = |value: f64| 3.9999 * value * (1.0 - value);
    for _ in 0..turns {
        (a, b, c, d) = (step(a), step(b), step(c), step(d));
        (e, f, g, h) = (step(e), step(f), step(g), step(h));
        between();
    }
    let fold = |sum: u64, value: f64| sum.rotate_left(7) ^ value.to_bits();
    [a, b, c, d, e, f, g, h].into_iter().fold(0, fold)
}

fn computes_alone(own: &Own) {
    let me = own.part(0);
    ALONE[me].store(chaos(me as u64, TURNS, || ()), SeqCst);
}

fn computes_until_told(own: &Own) {
    let me = own.part(0);
    while !STOP.load(SeqCst) {
        assert_eq!(chaos(me as u64, TURNS, || ()), ALONE[me].load(SeqCst), "thread {me}");
        ROUNDS[me].fetch_add(1, SeqCst);
    }
}

/// More threads than CPUs compute the same as each did alone, however often the timer stops them.
pub fn threads_compute_the_same_on_all_cpus() {
    for me in 0..THREADS {
        let alone = Worker::on(bit(0), MIDDLE, computes_alone, me as u64);
        assert_eq!(alone.wait(), Ok(ExitReason::Exited(0)));
    }
    let results: Vec<_> = ALONE.iter().map(|result| result.load(SeqCst)).collect();
    assert!((1..THREADS).all(|me| !results[..me].contains(&results[me])), "{results:x?}");
    be_equal();
    let switches = || statistic(Statistic::ContextSwitches).expect("a counter");
    let before = switches();
    let wanted = scaled(1000);
    let start = |me| Worker::on(ALL, MIDDLE, computes_until_told, me as u64);
    let threads: [_; THREADS] = array::from_fn(start);
    let is_enough = || ROUNDS.iter().all(|rounds| rounds.load(SeqCst) > 1);
    until(|| is_enough() && switches() - before >= wanted);
    STOP.store(true, SeqCst);
    for thread in &threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
}

fn computes_and_yields(own: &Own) {
    let seed = own.argument;
    let mut turn = seed << 32;
    let mut is_kept = true;
    let found = chaos(seed, 2000, || {
        turn += 1;
        for call in [Syscall::ThreadYield, Syscall::ProcessUsage] {
            let (is_there, result, _) = hold(turn, call, [0; 4], 0);
            is_kept &= is_there && result == 0;
        }
    });
    assert!(is_kept, "other values after a call");
    assert_eq!(found, chaos(seed, 2000, || ()));
}

/// A system call changes none of them, whether its thread goes on at once or another one is first.
pub fn values_survive_system_calls() {
    be_equal();
    let start = |me| Worker::on(ALL, MIDDLE, computes_and_yields, me as u64);
    let threads: [_; THREADS] = array::from_fn(start);
    for thread in &threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
}
