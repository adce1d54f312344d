//! For whom a CPU works just now: the priority of the thread or kernel task that it does something
//! for. What that leaves to be done later, and for nobody in particular, is done at this priority.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::percpu::{MAX_CPUS, PerCpu};

/// Before the first thread runs, the machine works for itself.
static PRIORITY: PerCpu<AtomicU8> = PerCpu::new([const { AtomicU8::new(u8::MAX) }; MAX_CPUS]);

/// From here on this CPU works for someone of this priority. For the dispatcher.
#[inline]
pub fn set(priority: u8) {
    PRIORITY.here().store(priority, Relaxed);
}

/// The priority of whoever this CPU works for.
#[inline]
pub fn priority() -> u8 {
    PRIORITY.here().load(Relaxed)
}
