//! Whether a wake has to interrupt its CPU: the hand-shake between a CPU that goes to rest, or on to
//! something, and those who wake tasks of its.
//!
//! ```text
//!   the CPU                                      a waker on another one
//!   1. publishes its urgency (an exchange)       3. pushes the task (a compare-exchange)
//!   2. checks its queue: empty? then it rests    4. reads the urgency: lower? then it kicks
//! ```
//! Each side writes and then reads what the other one writes, by sequentially consistent operations:
//! 1 before 2, 3 before 4. So either 2 sees what 3 pushed, or 4 sees what 1 published, or both. A
//! check before the publishing, or a store in its place (which stays in the CPU's store buffer
//! while the load behind it goes ahead), loses wakes.
//!
//! A kick is whatever ends the rest for certain, even when it comes before the rest has begun: an
//! interrupt, with `sti; hlt` as one step; `unpark`; a signal of a notification. A waker that kicks
//! says so in the same word, so of many wakers one kicks. `executor/models` has the proof, and what
//! happens where a step is wrong.
//!
//! ```
//! use orbital_executor::urgency::{IDLE, Urgency};
//!
//! let urgency = Urgency::new();
//! assert!(!urgency.must_kick(1), "it looks at its queue by itself");
//! assert!(urgency.settle(IDLE, || true), "nothing to do: it may rest");
//! assert!(urgency.must_kick(1), "the first one kicks");
//! assert!(!urgency.must_kick(1), "the second one need not");
//! ```
#![forbid(unsafe_code)]

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::sync::{AtomicUsize, Ordering, const_unless_loom, store_before_load};

/// Rests: any wake has to end it.
pub const IDLE: usize = 0;
/// Will look at its queue before it rests or goes on: no wake need tell it.
pub const AWAKE: usize = usize::MAX;

/// How urgent what a CPU does is: [`IDLE`], [`AWAKE`], or any number in between, by which its owner
/// orders what it runs (a thread's priority plus one, say). One CPU publishes, all may ask.
#[derive(Debug)]
pub struct Urgency(AtomicUsize);

impl Urgency {
    const_unless_loom! {
        /// Of a CPU that is [`AWAKE`].
        pub fn new() -> Self {
            Self(AtomicUsize::new(AWAKE))
        }
    }

    /// The CPU is about to do something of urgency `level`. It has to look at its queues after this
    /// call, and to [`Urgency::look_out`] if it finds something: [`Urgency::settle`] does.
    pub fn publish(&self, level: usize) {
        #[cfg(loom)]
        if planted(Bug::UrgencyStores) {
            return self.0.store(level, Ordering::Release);
        }
        self.0.swap(level, Ordering::SeqCst);
        store_before_load();
    }

    /// The CPU will look at its queues from here on. It needs no order: a waker that sees less
    /// kicks for nothing, and one that sees this is seen by the check after the next publishing.
    pub fn look_out(&self) {
        #[cfg(not(loom))]
        self.0.store(AWAKE, Ordering::Relaxed);
        // Loom does not know that no store comes between a waker's exchange and what that has read,
        // which this CPU published before.
        #[cfg(loom)]
        self.0.swap(AWAKE, Ordering::Relaxed);
    }

    /// What was published last; [`AWAKE`] too where a waker has kicked since. For the CPU itself.
    pub fn level(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Publishes `level` and then asks whether there is `nothing_to_do`. True when so: from now on
    /// a wake that is more urgent kicks. False when there is something: the CPU is awake again.
    #[must_use]
    pub fn settle(&self, level: usize, nothing_to_do: impl FnOnce() -> bool) -> bool {
        #[cfg(loom)]
        if planted(Bug::UrgencyChecksFirst) {
            let rests = nothing_to_do();
            self.publish(if rests { level } else { AWAKE });
            return rests;
        }
        self.publish(level);
        let settled = nothing_to_do();
        if !settled {
            self.look_out();
        }
        settled
    }

    /// Asked by who has just pushed something of urgency `level` by a sequentially consistent
    /// read-modify-write: whether the caller must kick the CPU. Others who ask need not, until it
    /// has published again.
    #[must_use]
    pub fn must_kick(&self, level: usize) -> bool {
        #[cfg(loom)]
        if planted(Bug::KickAlways) {
            return true;
        }
        let mut now = self.0.load(Ordering::SeqCst);
        while now < level {
            #[cfg(loom)]
            if planted(Bug::KickUnclaimed) {
                return true;
            }
            match self.0.compare_exchange_weak(now, AWAKE, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }
}

impl Default for Urgency {
    fn default() -> Self {
        Self::new()
    }
}
