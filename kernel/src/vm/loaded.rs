//! Which address space each CPU has loaded: whoever takes translations away asks.
//!
//! A CPU that goes from one to another has both for a moment: it names the next one, loads it, and only then lets
//! the previous one go. So who does not find a space here knows that no CPU walks its tables, or that one which
//! begins to does so behind the look, and sees what was changed before.
//!
//! That takes no locked instruction. Loading tables is a barrier by itself: the processor drains its stores before
//! it goes on, as for all serializing instructions (Intel SDM volume 3, 9.3; AMD APM volume 2, 7.6.4). So the name
//! of the next space is seen before the first walk of its tables, and the previous one is let go after the last.
#![forbid(unsafe_code)]

use core::sync::atomic::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};

use crate::{
    arch,
    percpu::{MAX_CPUS, PerCpu},
};

/// The space that each CPU has loaded, by its address; 0 is none. Not counted: the end of a process waits until no
/// CPU has its space loaded, and keeps it until then.
static NOW: PerCpu<AtomicUsize> = PerCpu::new([const { AtomicUsize::new(0) }; MAX_CPUS]);
/// The one that it is about to load, or has.
static NEXT: PerCpu<AtomicUsize> = PerCpu::new([const { AtomicUsize::new(0) }; MAX_CPUS]);

/// Whether this CPU has `space` loaded.
#[inline(always)]
pub fn is_here(space: usize) -> bool {
    NOW.here_locked().load(Relaxed) == space
}

/// This CPU is about to load `space`.
#[inline(always)]
pub fn begin(space: usize) {
    NEXT.here_locked().store(space, Release);
}

/// It has.
#[inline(always)]
pub fn end(space: usize) {
    NOW.here_locked().store(space, Release);
}

/// The CPUs that have `space` loaded, a bit each. What was changed in its tables comes before this look.
pub fn cpus(space: usize) -> u64 {
    fence(SeqCst);
    cpus_behind_barrier(space)
}

/// Whether another CPU than `cpu` has it loaded, where a locked instruction has just been the barrier.
#[inline]
pub fn is_elsewhere_behind_barrier(space: usize, cpu: usize) -> bool {
    let count = arch::cpu_count_locked();
    count > 1 && is_on_another(space, cpu, count)
}

#[inline(never)]
fn is_on_another(space: usize, cpu: usize, count: usize) -> bool {
    (0..count).any(|other| other != cpu && is_on(space, other))
}

/// The CPUs that have it loaded, where another locked instruction has just been the barrier.
pub fn cpus_behind_barrier(space: usize) -> u64 {
    // The first one is there.
    let mut cpus = u64::from(is_on(space, 0));
    for cpu in 1..arch::cpu_count_locked() {
        cpus |= u64::from(is_on(space, cpu)) << cpu;
    }
    cpus
}

#[inline]
fn is_on(space: usize, cpu: usize) -> bool {
    // In this order: what is not loaded any more by the second look was not named at the first.
    NEXT.of(cpu).load(Acquire) == space || NOW.of(cpu).load(Acquire) == space
}
