//! How long interrupts stay off: the longest stretch of each CPU, in ticks of the time-stamp counter,
//! which are instructions where the machine counts those (`--icount`). It is measured from when someone asks
//! for it first: until then a stretch costs a comparison or two. Quick calls (`syscall/quick.rs`) are never measured.
//!
//! A stretch begins when the kernel is entered or has let interrupts in, and ends before the next of
//! these or user mode. What the assembly does on the way in and out, some 40 instructions, is not in
//! it; nor is a stretch that had begun before it was measured.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::wake;
use crate::{
    arch::clock,
    percpu::{MAX_CPUS, PerCpu},
    watch::{self, MEASURED},
};

/// When the stretch of each CPU began; 0 before the first that is measured.
static SINCE: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);
static LONGEST: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);

/// Interrupts are off from here on.
#[inline]
pub fn begin() {
    if watch::is(MEASURED) {
        SINCE.here().store(clock::ticks(), Relaxed);
    }
}

/// Interrupts are about to be let in.
#[inline]
pub fn end() {
    if watch::is(MEASURED) {
        measure();
    }
}

#[cold]
fn measure() {
    let since = SINCE.here().load(Relaxed);
    if since == 0 {
        return;
    }
    let stretch = clock::ticks().saturating_sub(since);
    let longest = LONGEST.here();
    if stretch > longest.load(Relaxed) {
        // Someone may take it at the same time.
        longest.fetch_max(stretch, Relaxed);
    }
}

fn begin_to_measure() {
    if !watch::begin(MEASURED) {
        wake::measure();
    }
}

/// The longest stretch of `cpu`, in ticks.
pub fn longest(cpu: usize) -> u64 {
    begin_to_measure();
    LONGEST.of(cpu).load(Relaxed)
}

/// The same; from here on it is counted anew.
pub fn take_longest(cpu: usize) -> u64 {
    begin_to_measure();
    LONGEST.of(cpu).swap(0, Relaxed)
}
