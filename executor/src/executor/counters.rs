//! What an executor counts, and what it measures.
#![forbid(unsafe_code)]

use crate::sync::{AtomicU64, Ordering, const_unless_loom};

/// What an executor has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Tasks that were spawned.
    pub spawned: u64,
    /// Tasks that are done, cancelled ones included.
    pub finished: u64,
    /// How often a task was put on the queue: once for many wakes before the next poll.
    pub wakes: u64,
    /// How often a task was polled.
    pub polls: u64,
    /// Polls that took longer than [`Watch::limit`].
    pub long_polls: u64,
    /// The longest poll, in the clock's units; 0 without a [`Watch`].
    pub longest_poll: u64,
}

impl Counters {
    /// Tasks that were spawned and are not done.
    pub const fn alive(&self) -> u64 {
        // Each is spawned before it is done; but the two were not read at the same instant.
        self.spawned.saturating_sub(self.finished)
    }
}

/// How long polls are found.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Tells the time, in any unit, and never goes back. Read before and after each poll.
    pub clock: fn() -> u64,
    /// A poll that takes longer is counted.
    pub limit: u64,
}

/// A counter that one thread writes at a time: an increment needs no locked instruction.
pub(super) struct OwnCounter(AtomicU64);

impl OwnCounter {
    const_unless_loom! {
        /// Zero.
        pub fn new() -> Self {
            Self(AtomicU64::new(0))
        }
    }

    pub fn increment(&self) {
        self.0.store(self.get() + 1, Ordering::Relaxed);
    }

    pub fn raise_to(&self, value: u64) {
        if value > self.get() {
            self.0.store(value, Ordering::Relaxed);
        }
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
