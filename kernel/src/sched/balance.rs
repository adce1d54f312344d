//! No CPU sleeps while another has a thread that waits for it.
//!
//! A CPU that goes to sleep says so and then looks at how many threads wait elsewhere; a CPU that
//! leaves threads waiting says how many and then looks at who sleeps. So one of the two sees the
//! other: the sleeper wakes who has some, and whoever has threads waiting gives one away.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::{run_queue::RunQueue, sleepers, wake};
use crate::{
    arch,
    percpu::{MAX_CPUS, PerCpu},
    thread::Tcb,
};

/// How many threads wait for each CPU.
static WAITING: PerCpu<AtomicUsize> = PerCpu::new([const { AtomicUsize::new(0) }; MAX_CPUS]);

/// This CPU is about to sleep: asks those for a thread that have some waiting. One alone may have
/// none that may run here. Threads that were woken and are not urgent enough for a kick wait too.
pub fn fall_asleep() {
    publish_waiting(0);
    sleepers::add();
    let own = arch::cpu_index();
    for cpu in (0..arch::cpu_count()).filter(|cpu| *cpu != own) {
        if WAITING.of(cpu).load(SeqCst) > 0 {
            arch::kick(cpu);
        } else {
            wake::tell_of_woken(cpu);
        }
    }
}

/// So many threads wait for this CPU.
pub fn publish_waiting(count: usize) {
    let own = WAITING.here();
    if own.load(SeqCst) != count {
        own.swap(count, SeqCst);
    }
}

/// This CPU is about to run a thread while those in `ready` wait: gives one to each CPU that sleeps.
pub fn share(ready: &mut RunQueue) {
    publish_waiting(ready.len());
    if ready.is_empty() {
        return;
    }
    let sleeping = sleepers::others();
    for cpu in (0..arch::cpu_count()).filter(|cpu| sleeping & 1 << cpu != 0) {
        // A CPU for which there is nothing sleeps on. Whoever clears the bit gives.
        if ready.has_for(cpu)
            && sleepers::claim(cpu)
            && let Some(thread) = ready.take_for(cpu)
        {
            wake::hand_over(thread, cpu);
        }
    }
    publish_waiting(ready.len());
}

/// A CPU that is up and that `thread` may run on: one that sleeps, if there is one.
pub fn cpu_for(thread: &Tcb) -> usize {
    let online = u64::MAX >> (u64::BITS as usize - arch::cpu_count());
    let allowed = thread.affinity() & online;
    let sleeping = allowed & sleepers::others();
    let cpus = if sleeping != 0 { sleeping } else { allowed };
    // Affinities without a CPU are refused.
    (cpus.trailing_zeros() as usize).min(arch::cpu_count() - 1)
}
