//! What a thread waits for, and since when, and how long it has run: for dumps, and for who inspects it.
#![forbid(unsafe_code)]

use core::sync::atomic::Ordering::Relaxed;

use super::{BlockReason, Tcb};
use crate::arch;

impl Tcb {
    /// What it waits for.
    pub fn block_reason(&self) -> BlockReason {
        match BlockReason::from_bits(self.reason.load(Relaxed)) {
            BlockReason::WaitingReply { .. } => {
                let from = self.answerer().map(|(_, thread)| thread.id);
                BlockReason::WaitingReply { from }
            }
            other => other,
        }
    }

    /// Since when, in nanoseconds since boot.
    pub fn blocked_since(&self) -> u64 {
        arch::clock::nanoseconds_at(self.since.load(Relaxed))
    }

    /// How long it has run, as far as that was charged, in nanoseconds.
    pub fn cpu_time(&self) -> u64 {
        arch::clock::duration(self.time.load(Relaxed))
    }

    /// It has run for so many ticks of the clock. For its CPU.
    #[inline]
    pub fn has_run(&self, ticks: u64) {
        self.time.store(self.time.load(Relaxed).wrapping_add(ticks), Relaxed);
        self.process.has_run(ticks);
    }

    /// Notes what it begins to wait for, and gives when that is, in ticks of the clock. Who answers a call is known by
    /// other means.
    #[inline]
    pub fn set_block_reason(&self, reason: BlockReason) -> u64 {
        self.reason.store(reason.to_bits(), Relaxed);
        let now = arch::clock::ticks();
        self.since.store(now, Relaxed);
        now
    }
}
