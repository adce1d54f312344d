//! Interrupts by x2APIC and timers by TSC deadline, which Bochs' processor has and the one that QEMU
//! emulates has not. One case that needs both, so that each run of the tests takes these ways; the
//! other suites can be run on Bochs too.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{self, bit, here, learn},
    suite,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker, parts},
};
use orbital_user::{CapSlot, Endpoint, clock};

suite! {
    on "machine=bochs cpus=2": [threads_are_preempted_woken_and_sleep],
    roles: [],
}

/// How often each of two threads sees that the other had its turn.
const TURNS: u64 = 10;
const CALLS: u32 = 100;
const SLEEPS: usize = 10;
const MILLISECOND: u64 = 1_000_000;

/// For each of the two threads of a CPU: how far it has counted, and how often the other had moved on.
static COUNTED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static SEEN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
static SLOT: AtomicU64 = AtomicU64::new(0);

/// Counts, and never gives way: the other of this CPU moves on only when this one is preempted.
fn spins(own: &Own) {
    let (me, cpu) = (own.part(0), own.part(1));
    let mut last = COUNTED[1 - me].load(SeqCst);
    while SEEN.iter().any(|seen| seen.load(SeqCst) < TURNS) {
        COUNTED[me].fetch_add(1, SeqCst);
        let now = COUNTED[1 - me].load(SeqCst);
        if now != last {
            last = now;
            SEEN[me].fetch_add(1, SeqCst);
        }
    }
    assert_eq!(here(), cpu);
}

fn echoes(_: &Own) {
    let endpoint = endpoint(CapSlot::from_bits(SLOT.load(SeqCst)));
    let mut received = endpoint.receive();
    while let Ok(call) = received {
        received = endpoint.reply_receive(&call.message);
    }
}

fn calls(_: &Own) {
    let endpoint = endpoint(CapSlot::from_bits(SLOT.load(SeqCst)));
    for number in 0..CALLS {
        assert_eq!(endpoint.call(&label(number)).expect("an answer").label(), number);
    }
}

fn sleeps(_: &Own) {
    for _ in 0..SLEEPS {
        let deadline = clock::now() + MILLISECOND;
        clock::sleep_until(deadline);
        assert!(clock::now() >= deadline);
    }
}

fn ended(threads: &[Worker]) {
    for thread in threads {
        thread.wait().expect("its end");
    }
}

/// On each CPU two threads that never give way both go on, so the timer preempts them; a caller and a
/// server on different CPUs wake each other out of idleness, so kicks arrive; sleepers on CPUs with
/// nothing else to do wake, so deadlines come.
fn threads_are_preempted_woken_and_sleep() {
    let features = core::arch::x86_64::__cpuid(1).ecx;
    assert!(features & 1 << 21 != 0, "this machine has no x2APIC");
    assert!(features & 1 << 24 != 0, "this machine has no TSC deadline");
    learn();
    let all = cpus::count();
    for cpu in 0..all {
        SEEN.iter().for_each(|seen| seen.store(0, SeqCst));
        ended(&[0, 1].map(|me| Worker::on(bit(cpu), MIDDLE, spins, parts(&[me, cpu]))));
    }
    for (server, caller) in cpus::pairs() {
        let endpoint = Endpoint::create().expect("an endpoint");
        SLOT.store(endpoint.slot().bits(), SeqCst);
        let _server = Worker::on(bit(server), MIDDLE, echoes, 0);
        ended(&[Worker::on(bit(caller), MIDDLE, calls, 0)]);
    }
    let sleepers: Vec<_> = (0..all).map(|cpu| Worker::on(bit(cpu), MIDDLE, sleeps, 0)).collect();
    ended(&sleepers);
}
