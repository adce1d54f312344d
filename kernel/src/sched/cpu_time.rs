//! Who has had the CPUs, and for how long: of each thread, of each process, and of nobody.
//!
//! The time since a CPU has last charged is charged where the dispatcher is at work anyway: to the thread that ran when
//! the timer came, that waits, gives way, ends, or has had a step of its operation done. Direct switches and yields
//! ([`direct`](super::direct)) charge nobody, for that would take a step of them all: what ran since goes to whoever has
//! the CPU when it is charged, as where time is counted by ticks. Who neither runs nor is worked for is charged nothing.
//! The kernel's own tasks' time is nobody's.
//!
//! | word of a CPU | says |
//! |---|---|
//! | `SINCE` | up to when its time was charged |
//! | `IDLE` | for how long it has slept; while it sleeps, and bit 63 is set, when it would have fallen asleep if it had not slept before. One word, so that others read it at any time, and it never goes back |
//! | `ASKED` | somebody wants to know, and an interrupt is on its way: a thread that has a CPU for itself is interrupted by nothing else |
//!
//! Times are in ticks of the time-stamp counter.
#![forbid(unsafe_code)]

use core::{
    cell::Cell,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use super::cpu::{self, CURRENT};
use crate::{
    arch::{self, clock},
    percpu::{MAX_CPUS, PerCpu},
    thread::Tcb,
    vm::shootdown,
};

static SINCE: PerCpu<Cell<u64>> = PerCpu::new([const { Cell::new(0) }; MAX_CPUS]);
static IDLE: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);
static ASKED: PerCpu<AtomicBool> = PerCpu::new([const { AtomicBool::new(false) }; MAX_CPUS]);

const ASLEEP: u64 = 1 << 63;

/// This CPU starts.
pub(super) fn init() {
    begin();
    IDLE.here().store(0, Relaxed);
}

/// What was done until now was nobody's.
pub(super) fn begin() {
    SINCE.here().set(clock::ticks());
}

/// What has run on this CPU since it has last charged was `thread`.
#[inline]
pub(super) fn charge(thread: &Tcb) {
    let now = clock::ticks();
    let since = SINCE.here_locked().replace(now);
    thread.has_run(now.wrapping_sub(since));
}

/// The same, of the thread that has this CPU, if one does.
pub(super) fn charge_current() {
    CURRENT.here_locked().with(charge);
}

/// The timer has come.
pub fn timer_came() {
    charge_current();
    cpu::timer_came();
}

/// Another CPU wants something, and that may be this.
pub fn kicked() {
    if ASKED.here().load(Relaxed) {
        ASKED.here().store(false, Relaxed);
        charge_current();
    }
}

/// This CPU is about to sleep.
pub(super) fn fall_asleep() {
    let idle = IDLE.here();
    idle.store(ASLEEP | clock::ticks().wrapping_sub(idle.load(Relaxed)) & !ASLEEP, Relaxed);
}

/// It sleeps no more, if it did.
pub(super) fn wake_up() {
    let (idle, now) = (IDLE.here(), clock::ticks());
    idle.store(slept(idle.load(Relaxed), now), Relaxed);
    SINCE.here().set(now);
}

/// What a CPU's word says at a time.
fn slept(word: u64, now: u64) -> u64 {
    if word & ASLEEP == 0 { word } else { now.wrapping_sub(word) & !ASLEEP }
}

/// For how long `cpu` has slept since it began, in nanoseconds.
pub fn idle(cpu: usize) -> u64 {
    clock::duration(slept(IDLE.of(cpu).load(Relaxed), clock::ticks()))
}

/// Lets every CPU charge who runs there, and waits until each has been asked, at least.
pub async fn settle() {
    charge_current();
    for cpu in 0..arch::cpu_count() {
        ASKED.of(cpu).store(true, Relaxed);
    }
    ASKED.here().store(false, Relaxed);
    // It comes with an interrupt for each that does not sleep.
    shootdown::grace_period().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_says_how_long_a_cpu_has_slept_at_any_time() {
        // It has slept for 30, and falls asleep at 100.
        let word = ASLEEP | (100 - 30);
        assert_eq!((slept(30, 99), slept(word, 100), slept(word, 150)), (30, 30, 80));
        assert_eq!(slept(slept(word, 150), 1000), 80);
    }
}
