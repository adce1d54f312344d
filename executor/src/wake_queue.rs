//! Woken tasks of one CPU: many producers, one consumer, intrusive. A push is one compare-exchange
//! that is repeated while others push; taking is one swap of the whole list, which is then turned
//! round into the order of the pushes. There is no state in which a consumer has to wait for a
//! half-done push.
//!
//! ```text
//!   last ──► D ──► C ──► B ──► A ──► null      pushed in the order A B C D
//!              next                            taken: last = null, then A ──► B ──► C ──► D
//! ```
//! A consumer that is about to rest has to be told of a push: see [`crate::urgency`].

use core::ptr::{self, NonNull};

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::{
    sync::{AtomicPtr, Ordering, const_unless_loom, store_before_load},
    task::TaskHeader,
};

/// The queue.
pub struct WakeQueue {
    /// The task that was pushed last.
    last: AtomicPtr<TaskHeader>,
}

impl WakeQueue {
    const_unless_loom! {
        /// An empty queue.
        pub fn new() -> Self {
            Self { last: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// Whether nothing was pushed since the last [`WakeQueue::take_all`].
    pub fn is_empty(&self) -> bool {
        // Sequentially consistent, like the push, for the sake of `urgency`.
        self.last.load(Ordering::SeqCst).is_null()
    }

    /// Puts a task at the end. Whether the queue was empty: then its consumer may have to be told.
    ///
    /// # Safety
    /// The task is queued by its state word, which happens once until it is taken; the pointer may
    /// be used for the whole task, and the task lives until [`Taken`] has given it out.
    pub unsafe fn push(&self, task: NonNull<TaskHeader>) -> bool {
        let mut last = self.last.load(Ordering::Relaxed);
        // SAFETY: the task lives; its link is ours until it is in the queue.
        let next = unsafe { &task.as_ref().next };
        next.store(last, Ordering::Relaxed);
        #[cfg(loom)]
        if planted(Bug::PushStores) {
            self.last.store(task.as_ptr(), Ordering::Release);
            return last.is_null();
        }
        // It publishes the task, and comes before the load of an urgency by the same CPU.
        let order = Ordering::SeqCst;
        #[cfg(loom)]
        let order = if planted(Bug::PushRelaxed) { Ordering::Relaxed } else { order };
        while let Err(now) =
            self.last.compare_exchange_weak(last, task.as_ptr(), order, Ordering::Relaxed)
        {
            last = now;
            #[cfg(loom)]
            if planted(Bug::PushKeepsLink) {
                continue;
            }
            next.store(last, Ordering::Relaxed);
        }
        store_before_load();
        last.is_null()
    }

    /// Takes all tasks, in the order in which they were pushed. For the consumer alone.
    pub fn take_all(&self) -> Taken {
        let mut from = self.swap_out();
        let mut first = ptr::null_mut();
        while let Some(task) = NonNull::new(from) {
            // SAFETY: what is in the queue lives until `Taken` has given it out.
            let next = unsafe { &task.as_ref().next };
            from = next.load(Ordering::Relaxed);
            next.store(first, Ordering::Relaxed);
            first = task.as_ptr();
        }
        Taken { first }
    }

    fn swap_out(&self) -> *mut TaskHeader {
        #[cfg(loom)]
        if planted(Bug::TakeInTwoSteps) {
            let last = self.last.load(Ordering::Acquire);
            self.last.store(ptr::null_mut(), Ordering::Relaxed);
            return last;
        }
        self.last.swap(ptr::null_mut(), Ordering::Acquire)
    }
}

impl Default for WakeQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// Tasks that were taken off a queue. They must all be consumed: a task that is not polled stays
/// queued for ever.
#[must_use]
pub struct Taken {
    first: *mut TaskHeader,
}

impl Iterator for Taken {
    type Item = NonNull<TaskHeader>;

    fn next(&mut self) -> Option<Self::Item> {
        let task = NonNull::new(self.first)?;
        // SAFETY: a taken task lives until the iterator has given it out.
        self.first = unsafe { task.as_ref() }.next.load(Ordering::Relaxed);
        Some(task)
    }
}
