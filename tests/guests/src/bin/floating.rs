//! Floating point on every CPU: what a thread computes does not depend on how often it is stopped and
//! moved, its control words are its own, and nobody finds what it left.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use guests::{
    chaos::Chaos,
    cpus::{self, ALL, be_equal, bit, leave_nothing, pairs, scaled, spin, until},
    own_thread,
    pattern::{Vectors, assert_fresh, fill, report_pending},
    places, suite,
    threads::MIDDLE,
    workers::{Own, Worker, parts},
};
use orbital_user::{
    ExitReason, FaultKind,
    abi::statistics::Statistic,
    println,
    system::statistic,
    thread::{exit, yield_now},
};

suite! {
    parallel: [
        results_are_the_same_while_threads_are_preempted_and_migrated,
        control_words_of_one_harm_nobody,
        a_pending_error_is_reported_to_its_thread_alone,
        nothing_is_left_in_registers_by_who_is_killed,
        a_suspended_thread_s_registers_are_its_own,
        nothing_is_left_of_threads_with_vectors,
    ],
    roles: [],
}

/// How many compute at the same time.
const THREADS: usize = 4;
/// Long enough for many slices.
const TURNS: u64 = 20_000;
/// How often each of them is moved, or switched where there is one CPU.
const MOVES: u64 = 200;

static STOP: AtomicBool = AtomicBool::new(false);
static ROUNDS: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];
/// A checksum of what each computes alone.
static ALONE: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

/// How many turns each has taken.
static TURNED: [AtomicU64; THREADS] = [const { AtomicU64::new(0) }; THREADS];

/// What one round of this thread computes, in 64 bits.
fn round(me: usize) -> u64 {
    let mut chaos = Chaos::new(me as u64);
    chaos.turn(TURNS, &TURNED[me]);
    chaos.checksum()
}

fn computes_alone(own: &Own) {
    ALONE[own.part(0)].store(round(own.part(0)), SeqCst);
}

/// Lets each result be computed while nobody else runs.
fn compute_alone() {
    for me in 0..THREADS {
        let alone = Worker::on(bit(0), MIDDLE, computes_alone, me as u64);
        assert_eq!(alone.wait(), Ok(ExitReason::Exited(0)));
    }
    let results: Vec<_> = ALONE.iter().map(|result| result.load(SeqCst)).collect();
    for (me, result) in results.iter().enumerate() {
        assert!(!results[..me].contains(result), "two have the same result: {results:x?}");
    }
}

fn computes_until_told(own: &Own) {
    let me = own.part(0);
    while !STOP.load(SeqCst) {
        assert_eq!(round(me), ALONE[me].load(SeqCst), "thread {me}");
        ROUNDS[me].fetch_add(1, SeqCst);
    }
}

/// Four threads that compute, on these CPUs.
fn computing(cpus: u64) -> [Worker; THREADS] {
    STOP.store(false, SeqCst);
    core::array::from_fn(|me| Worker::on(cpus, MIDDLE, computes_until_told, me as u64))
}

fn stop(threads: [Worker; THREADS]) {
    STOP.store(true, SeqCst);
    for thread in threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
}

fn switches() -> u64 {
    statistic(Statistic::ContextSwitches).unwrap()
}

/// Sends a thread to another CPU than the one it is on, and waits until it has turned there.
fn move_on(me: usize, thread: &Worker) {
    let to = (thread.inspect().unwrap().cpu + 1) % cpus::count();
    thread.set_affinity(bit(to)).unwrap();
    assert_eq!(thread.inspect().map(|now| now.cpu), Ok(to));
    let before = TURNED[me].load(SeqCst);
    until(|| TURNED[me].load(SeqCst) > before);
}

/// Four threads compute the same, to the last bit, as each did alone, though all are moved two hundred
/// times each, or switched as often.
fn results_are_the_same_while_threads_are_preempted_and_migrated() {
    compute_alone();
    be_equal();
    let before = switches();
    let threads = computing(ALL);
    let mut moved = 0;
    if cpus::count() == 1 {
        until(|| switches() - before >= MOVES * THREADS as u64);
    } else {
        for _ in 0..MOVES {
            threads.iter().enumerate().for_each(|(me, thread)| move_on(me, thread));
            moved += THREADS;
        }
    }
    stop(threads);
    let rounds = ROUNDS.each_ref().map(|rounds| rounds.load(SeqCst));
    println!("{moved} moves, {} switches, rounds {rounds:?}", switches() - before);
    assert!(switches() - before >= MOVES * THREADS as u64);
    assert!(rounds.iter().all(|rounds| *rounds > 0), "{rounds:?}");
}

/// Control words and MXCSR that are as bad as can be: nothing masked, every error noted, one pending,
/// other precisions and roundings, and the top of a full stack in the middle.
const BAD: [(u16, u16, u32); 6] = [
    (0x0000, 0x0000, 0x0000),
    (0x0340, 0x80ff, 0x0000),
    (0x0340, 0xb8bf, 0x003f),
    (0x0f7f, 0x7f00, 0xffff),
    (0x0c00, 0xbfff, 0x603f),
    (0x037f, 0x4000, 0x9fc0),
];

fn bad(index: usize) -> Vectors {
    let (control, status, mxcsr) = BAD[index % BAD.len()];
    Vectors::pattern(index as u8).with_control(control, status, mxcsr)
}

/// Holds bad control words over system calls, waits and preemptions.
fn holds_bad_words(own: &Own) {
    let image = bad(own.part(0));
    image.load();
    let held = Vectors::now();
    while !STOP.load(SeqCst) {
        yield_now();
        spin(5000);
        assert_eq!(own.set_priority(MIDDLE), Ok(()));
        assert!(Vectors::now() == held, "words {}", own.part(0));
        ROUNDS[0].fetch_add(1, SeqCst);
    }
}

/// Threads with bad control words run on each CPU beside those that compute, are moved and killed: they
/// keep what they have, the results of the others stay right, and whoever comes later finds fresh
/// registers.
fn control_words_of_one_harm_nobody() {
    compute_alone();
    be_equal();
    let threads = computing(ALL);
    let start = |index: usize| {
        let cpus = if index < BAD.len() { ALL } else { bit(index % cpus::count()) };
        Worker::on(cpus, MIDDLE, holds_bad_words, index as u64)
    };
    let bad: Vec<_> = (0..2 * BAD.len()).map(start).collect();
    for turn in 0..scaled(200) {
        let before = ROUNDS[0].load(SeqCst);
        bad[turn as usize % BAD.len()].set_affinity(bit(turn as usize % cpus::count())).unwrap();
        until(|| ROUNDS[0].load(SeqCst) > before);
    }
    // Half of them are killed where they are, the others end.
    bad[..BAD.len()].iter().for_each(|thread| thread.kill().unwrap());
    for cpu in 0..cpus::count() {
        let fresh = Worker::on(bit(cpu), MIDDLE, |_| assert_fresh(), 0);
        assert_eq!(fresh.wait(), Ok(ExitReason::Exited(0)));
    }
    stop(threads);
    for thread in &bad[BAD.len()..] {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
}

/// Leaves an error pending, and comes to it only after others have run.
fn reports_late(own: &Own) {
    Vectors::pattern(1).with_control(0x0340, 0x80ff, 0x1f80).load();
    for _ in 0..10 {
        yield_now();
    }
    if own.argument == 0 {
        exit(3);
    }
    report_pending();
}

/// An x87 error that is pending when its thread leaves the CPU ends that thread, when it asks, and none
/// of those that run in between; without asking it may end by itself.
fn a_pending_error_is_reported_to_its_thread_alone() {
    be_equal();
    for cpu in 0..cpus::count() {
        let others = [(); 2].map(|()| Worker::on(bit(cpu), MIDDLE, |_| fresh_and_asks(), 0));
        let exits = Worker::on(bit(cpu), MIDDLE, reports_late, 0);
        let faults = Worker::on(bit(cpu), MIDDLE, reports_late, 1);
        assert_eq!(exits.wait(), Ok(ExitReason::Exited(3)));
        let reason = faults.wait().unwrap();
        let ExitReason::Faulted(fault) = reason else { panic!("{reason}") };
        assert_eq!((fault.kind, fault.address), (FaultKind::FloatingPoint, 0));
        for other in others {
            assert_eq!(other.wait(), Ok(ExitReason::Exited(0)));
        }
    }
}

fn fresh_and_asks() {
    for _ in 0..20 {
        assert_fresh();
        report_pending();
        yield_now();
    }
}

fn fills_and_spins(own: &Own) {
    fill();
    ROUNDS[own.part(0)].fetch_add(1, SeqCst);
    loop {
        spin(100);
    }
}

fn filler(cpu: usize) -> Worker {
    let before = ROUNDS[1].load(SeqCst);
    let filler = Worker::on(bit(cpu), MIDDLE, fills_and_spins, parts(&[1]));
    until(|| ROUNDS[1].load(SeqCst) > before);
    filler
}

/// New threads on these CPUs find nothing.
fn find_nothing(cpus: [usize; 2]) {
    for cpu in cpus {
        let fresh = Worker::on(bit(cpu), MIDDLE, |_| assert_fresh(), 0);
        assert_eq!(fresh.wait(), Ok(ExitReason::Exited(0)));
    }
}

/// A thread with full registers is killed from another CPU while it runs, and after it was sent to that:
/// nobody on either finds anything, though the memory is used again.
fn nothing_is_left_in_registers_by_who_is_killed() {
    be_equal();
    for (here, there) in pairs() {
        own_thread().set_affinity(bit(here)).unwrap();
        for moves in [false, true].repeat(scaled(50) as usize) {
            let filler = filler(there);
            if moves {
                filler.set_affinity(bit(here)).unwrap();
            }
            filler.kill().unwrap();
            find_nothing([there, here]);
        }
    }
}

/// Fills its registers, and finds them so when it is told.
fn keeps_its_own(own: &Own) {
    let image = Vectors::pattern(own.part(0) as u8);
    image.load();
    let held = Vectors::now();
    ROUNDS[1].fetch_add(1, SeqCst);
    while !STOP.load(SeqCst) {
        spin(100);
        assert!(Vectors::now() == held);
    }
}

/// A thread is suspended with full registers and resumed on another CPU: others find nothing meanwhile,
/// and it finds its own.
fn a_suspended_thread_s_registers_are_its_own() {
    be_equal();
    for (here, there) in pairs() {
        STOP.store(false, SeqCst);
        let before = ROUNDS[1].load(SeqCst);
        let thread = Worker::on(bit(there), MIDDLE, keeps_its_own, 0x77);
        until(|| ROUNDS[1].load(SeqCst) > before);
        for turn in 0..scaled(100) {
            thread.suspend().unwrap();
            find_nothing([here, there]);
            thread.set_affinity(bit(if turn % 2 == 0 { here } else { there })).unwrap();
            thread.resume().unwrap();
            drop(filler(there));
        }
        STOP.store(true, SeqCst);
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
}

/// The areas for vector registers are given back, however their threads end.
fn nothing_is_left_of_threads_with_vectors() {
    be_equal();
    places::pave(64 << 20);
    leave_nothing(5, || {
        for (here, there) in pairs() {
            let moved = filler(there);
            moved.set_affinity(bit(here)).unwrap();
            moved.kill().unwrap();
            let stopped = filler(there);
            stopped.suspend().unwrap();
            drop(stopped);
            let ends = Worker::on(bit(there), MIDDLE, |_| fill(), 0);
            assert_eq!(ends.wait(), Ok(ExitReason::Exited(0)));
        }
    });
}
