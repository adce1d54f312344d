//! What is told of a process to whoever looks at the whole system.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use super::Process;
use crate::arch::clock;

impl Process {
    /// One of its threads has run for so many ticks of the clock.
    #[inline]
    pub fn has_run(&self, ticks: u64) {
        self.time.fetch_add(ticks, Relaxed);
    }

    /// How long its threads have run, as far as that was charged, in nanoseconds.
    pub fn cpu_time(&self) -> u64 {
        clock::duration(self.time.load(Relaxed))
    }

    /// The number of the process that made it; 0 where none did, or it has ended.
    pub fn parent_number(&self) -> u64 {
        self.parent.lock().as_ref().map_or(0, |parent| parent.id)
    }
}
