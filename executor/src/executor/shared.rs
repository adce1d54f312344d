//! The part of an executor that everyone may share.
#![forbid(unsafe_code)]

use super::{
    counters::{Counters, OwnCounter, Watch},
    ready::Ready,
};
use crate::{
    notify::{Notify, Tell},
    sync::{AtomicU64, Ordering, const_unless_loom},
    wake_queue::WakeQueue,
};

/// A queue of woken tasks and counters. Its tasks can be woken from anywhere, but are polled only by
/// its [`Owner`](super::Owner).
pub struct Executor {
    pub(super) woken: WakeQueue,
    /// Tasks whose priority has changed.
    pub(super) changed: WakeQueue,
    /// Tasks that were taken off `woken` and not polled yet.
    pub(super) ready: Ready,
    pub(super) notify: Notify,
    pub(super) watch: Option<Watch>,
    pub(super) spawned: AtomicU64,
    pub(super) wakes: AtomicU64,
    // The owner's, to write.
    pub(super) polls: OwnCounter,
    pub(super) finished: OwnCounter,
    pub(super) long_polls: OwnCounter,
    pub(super) longest_poll: OwnCounter,
}

impl Executor {
    const_unless_loom! {
        /// An executor without tasks, whose owner looks by itself whether it has work.
        pub fn new() -> Self {
            Self::with(None, None)
        }
    }

    const_unless_loom! {
        /// An executor without tasks. `tell` is called after each task that is queued, with the
        /// number under which the owner has claimed it and the task's urgency, its priority plus one;
        /// polls are measured by `watch`.
        pub fn with(tell: Option<Tell>, watch: Option<Watch>) -> Self {
            Self {
                woken: WakeQueue::new(),
                changed: WakeQueue::new(),
                ready: Ready::new(),
                notify: Notify::new(tell),
                watch,
                spawned: AtomicU64::new(0),
                wakes: AtomicU64::new(0),
                polls: OwnCounter::new(),
                finished: OwnCounter::new(),
                long_polls: OwnCounter::new(),
                longest_poll: OwnCounter::new(),
            }
        }
    }

    /// Whether a task waits to be polled. For [`Urgency::settle`](crate::urgency::Urgency::settle),
    /// too.
    pub fn has_work(&self) -> bool {
        self.ready.top().is_some() || !self.woken.is_empty()
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        Counters {
            // Before the others: what is counted there was spawned earlier.
            finished: self.finished.get(),
            long_polls: self.long_polls.get(),
            longest_poll: self.longest_poll.get(),
            polls: self.polls.get(),
            wakes: self.wakes.load(Ordering::Relaxed),
            spawned: self.spawned.load(Ordering::Relaxed),
        }
    }

    /// How many polls there were.
    pub fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// How many wakes queued a task.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }

    /// How many tasks are done, or were cancelled.
    pub fn finished(&self) -> u64 {
        self.finished.get()
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}
