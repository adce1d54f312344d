//! Threads that must stay on one CPU.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{self, be_equal, bit, here, learn, scaled, spin},
    random::Random,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint,
    thread::{Inspection, yield_now},
};

use super::TURNS;

static SLOT: AtomicU64 = AtomicU64::new(0);

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
pub(super) fn a_pinned_thread_never_runs_elsewhere() {
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
