//! Machines with many CPUs: all of them come up, run user threads at the same time, and wake each
//! other.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use guests::{
    cpus::{self, MOST, be_equal, bit, here, learn, scaled},
    option, suite,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker, parts},
};
use orbital_user::{CapSlot, Endpoint};

suite! {
    on "cpus=16 times=2,20 timeout=120": [sixteen_cpus_boot],
    on "cpus=8 timeout=120": [eight_cpus_boot, eight_cpus_wake_each_other],
    roles: [],
}

/// How often all threads wait for each other without leaving user mode.
const MEETINGS: u64 = 10;

static REACHED: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
static SLOTS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];

fn shared(place: usize) -> impl core::ops::Deref<Target = Endpoint> {
    endpoint(CapSlot::from_bits(SLOTS[place].load(SeqCst)))
}

/// Makes an endpoint for each place below `count`, open as long as these live.
fn endpoints(count: usize) -> Vec<Endpoint> {
    let endpoint = |place: usize| {
        let endpoint = Endpoint::create().expect("an endpoint");
        SLOTS[place].store(endpoint.slot().bits(), SeqCst);
        endpoint
    };
    (0..count).map(endpoint).collect()
}

/// How many CPUs are up: all that the machine has and the kernel can use.
fn all_cpus() -> usize {
    let machine = option("cpus").and_then(|count| count.parse().ok()).expect("cpus=N");
    assert_eq!(cpus::count(), MOST.min(machine), "a CPU was left out");
    cpus::count()
}

fn meets_all_and_answers(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    for meeting in 1..=MEETINGS {
        REACHED[me].store(meeting, SeqCst);
        while REACHED[..all].iter().any(|reached| reached.load(SeqCst) < meeting) {
            spin_loop();
        }
        assert_eq!(here(), me);
    }
    shared(0).send(&label(me as u32)).expect("someone who counts");
}

/// A thread on each CPU: they wait for each other again and again while each keeps its CPU, so all run
/// at the same time; then each answers.
fn every_cpu_runs() {
    let all = all_cpus();
    let endpoints = endpoints(1);
    be_equal();
    learn();
    let start = |cpu| Worker::on(bit(cpu), MIDDLE, meets_all_and_answers, parts(&[cpu, all]));
    let threads: Vec<_> = (0..all).map(start).collect();
    let mut answered: Vec<_> = threads
        .iter()
        .map(|_| endpoints[0].receive().expect("an answer").message.label() as usize)
        .collect();
    answered.sort_unstable();
    assert!(answered.into_iter().eq(0..all), "each answers once");
    for thread in &threads {
        thread.wait().expect("its end");
    }
}

fn sixteen_cpus_boot() {
    every_cpu_runs();
}

fn eight_cpus_boot() {
    every_cpu_runs();
}

static ROUNDS: AtomicU64 = AtomicU64::new(0);

fn passes_a_number_on(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    let (mine, next) = (shared(me), shared((me + 1) % all));
    let receive = || u64::from(mine.receive().expect("the number").message.label());
    for round in 0..ROUNDS.load(SeqCst) {
        // The first begins each round, and finds at its end that everyone has added one.
        let number = if me == 0 { round * all as u64 } else { receive() };
        next.send(&label(number as u32 + 1)).expect("the next one");
        if me == 0 {
            assert_eq!(receive(), (round + 1) * all as u64);
        }
    }
}

/// A number goes round all CPUs: each thread sleeps until the one before it wakes it from another CPU.
fn eight_cpus_wake_each_other() {
    // One alone would wait for itself.
    let all = all_cpus().max(2);
    let on = |place| bit(place % cpus::count());
    let _endpoints = endpoints(all);
    ROUNDS.store(scaled(1000), SeqCst);
    let start = |me| Worker::on(on(me), MIDDLE, passes_a_number_on, parts(&[me, all]));
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in &threads {
        thread.wait().expect("its end");
    }
}
