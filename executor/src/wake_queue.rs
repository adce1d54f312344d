//! Woken tasks of one CPU: many producers, one consumer, intrusive. A push is one compare-exchange
//! that is repeated while others push; taking is one swap of the whole list, which is then turned
//! round into the order of the pushes. There is no state in which a consumer has to wait for a
//! half-done push.

use core::ptr::{self, NonNull};

use crate::{
    sync::{AtomicPtr, Ordering},
    task::TaskHeader,
};

/// The queue.
pub struct WakeQueue {
    /// The task that was pushed last.
    last: AtomicPtr<TaskHeader>,
}

impl WakeQueue {
    /// An empty queue.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { last: AtomicPtr::new(ptr::null_mut()) }
    }

    /// An empty queue.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { last: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Whether nothing was pushed since the last [`WakeQueue::take_all`].
    pub fn is_empty(&self) -> bool {
        self.last.load(Ordering::Acquire).is_null()
    }

    /// Puts a task at the end. Whether the queue was empty: then its consumer may have to be told.
    ///
    /// # Safety
    /// The task is queued by its state word, which happens once until it is taken, and it lives
    /// until then.
    pub unsafe fn push(&self, task: NonNull<TaskHeader>) -> bool {
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            // SAFETY: the task lives; its link is ours until it is in the queue.
            unsafe { task.as_ref() }.next.store(last, Ordering::Relaxed);
            match self.last.compare_exchange_weak(
                last,
                task.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return last.is_null(),
                Err(now) => last = now,
            }
        }
    }

    /// Takes all tasks, in the order in which they were pushed. For the consumer alone.
    pub fn take_all(&self) -> Taken {
        let mut from = self.last.swap(ptr::null_mut(), Ordering::Acquire);
        let mut first = ptr::null_mut();
        while let Some(task) = NonNull::new(from) {
            // SAFETY: what is in the queue lives until it is taken, which is here.
            let next = &unsafe { task.as_ref() }.next;
            from = next.load(Ordering::Relaxed);
            next.store(first, Ordering::Relaxed);
            first = task.as_ptr();
        }
        Taken { first }
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

// SAFETY: the queue's pointers are atomics, and a task header is `Sync`.
unsafe impl Send for WakeQueue {}
// SAFETY: as above.
unsafe impl Sync for WakeQueue {}
