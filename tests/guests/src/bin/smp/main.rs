//! Threads on every CPU: all run at once, each where it may, and what they share stays whole.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

mod more;

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};
use core::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};

use guests::{
    children,
    cpus::{self, ALL, MOST, be_equal, bit, here, learn, pairs, scaled, spin, until},
    own_thread,
    random::Random,
    suite,
    threads::{MIDDLE, at, endpoint, granted, label},
    workers::{Own, Worker, parts},
};
use orbital_user::{
    CapSlot, Endpoint, Error, Message, Rights,
    abi::statistics::Statistic,
    lock::Mutex,
    system::statistic,
    thread::{Inspection, spawn, yield_now},
};

use more::*;

suite! {
    parallel: [
        all_cpus_run_at_once,
        a_pinned_thread_never_runs_elsewhere,
        a_thread_moves_itself,
        a_running_thread_is_moved,
        a_ready_thread_is_moved,
        a_blocked_thread_is_moved,
        a_thread_not_started_is_moved,
        a_suspended_thread_is_moved,
        an_affinity_without_a_cpu_is_refused,
        an_affinity_with_absent_cpus_too_is_kept,
        threads_and_children_inherit_the_affinity,
        sixteen_threads_use_the_heap,
        sixteen_threads_share_a_mutex,
        memory_is_shared_across_cpus,
    ],
    roles: [tells_where_it_is],
}

/// States as [`Inspection`] gives them.
const WOKEN: u64 = 1;
const BLOCKED: u64 = 4;

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
fn all_cpus_run_at_once() {
    let all = cpus::count();
    let start = |cpu| Worker::on(bit(cpu), MIDDLE, goes_in_step, parts(&[cpu, all]));
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in &threads {
        thread.wait().expect("its end");
    }
    assert!(REACHED[..all].iter().all(|reached| reached.load(SeqCst) == 2 + ROUNDS));
}

static SLOT: AtomicU64 = AtomicU64::new(0);
static TURNS: AtomicU64 = AtomicU64::new(0);

fn shared() -> impl core::ops::Deref<Target = Endpoint> {
    endpoint(CapSlot::from_bits(SLOT.load(SeqCst)))
}

fn echoes(_: &Own) {
    let mut received = shared().receive();
    while let Ok(call) = received {
        received = shared().reply_receive(&call.message);
    }
}

fn yields_and_spins(own: &Own) {
    let mut random = Random::new(own.argument);
    loop {
        let turns = random.below(3000);
        spin(turns);
        yield_now();
    }
}

fn stays(own: &Own) {
    let cpu = own.part(0);
    let stays = |what| assert_eq!(here(), cpu, "after {what}");
    for turn in 0..TURNS.load(SeqCst) {
        match turn % 4 {
            0 => yield_now(),
            1 => {
                for _ in 0..20 {
                    spin(200);
                    stays("a spin");
                }
            }
            2 => {
                shared().call(&label(1)).expect("an echo");
            }
            _ => own.set_affinity(bit(cpu)).expect("its CPU"),
        }
        stays("a turn");
        let Inspection { cpu: found, affinity, .. } = own.inspect().expect("itself");
        assert_eq!((found, affinity), (cpu, bit(cpu)));
    }
}

/// One thread a CPU yields, spins, blocks and is preempted, beside others that go where they like; the
/// hardware's own number says each time that it is where it belongs.
fn a_pinned_thread_never_runs_elsewhere() {
    be_equal();
    learn();
    let endpoint = Endpoint::create().unwrap();
    SLOT.store(endpoint.slot().bits(), SeqCst);
    TURNS.store(scaled(10_000), SeqCst);
    let _echo = Worker::start(MIDDLE, echoes, 0);
    let _others = [1, 2].map(|seed| Worker::start(MIDDLE, yields_and_spins, seed));
    let pinned = |cpu| Worker::on(bit(cpu), MIDDLE, stays, cpu as u64);
    let pinned: Vec<_> = (0..cpus::count()).map(pinned).collect();
    for thread in &pinned {
        thread.wait().expect("its end");
    }
}

/// A thread goes from each CPU to each other by its own wish, and is there when the call returns.
fn a_thread_moves_itself() {
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

static SEEN: AtomicUsize = AtomicUsize::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn shows_where(_: &Own) {
    loop {
        SEEN.store(here(), SeqCst);
        COUNT.fetch_add(1, SeqCst);
    }
}

/// Where a thread that [`shows_where`] is from now on.
fn shown() -> usize {
    // What was on its way is shown by the next count, what comes after by the one behind that.
    let now = COUNT.load(SeqCst);
    until(|| COUNT.load(SeqCst) >= now + 2);
    SEEN.load(SeqCst)
}

/// A thread that never enters the kernel by itself is sent from each CPU to each other, and runs there
/// alone once the call has returned.
fn a_running_thread_is_moved() {
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

fn notes_where(_: &Own) {
    SEEN.store(here(), SeqCst);
    COUNT.fetch_add(1, SeqCst);
}

fn spins(_: &Own) {
    loop {
        core::hint::spin_loop();
    }
}

/// A thread that waits for its turn behind a more urgent one on another CPU gets it where it is sent.
fn a_ready_thread_is_moved() {
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
