//! A timer that stands in something else: in a future, or in a thread control block.

use core::{cell::UnsafeCell, marker::PhantomPinned, pin::Pin, ptr::NonNull, task::Waker};

use super::queue::{NEVER, Placed, TimerQueue};
use crate::heap::Entry;

/// A timer. It unlinks when it is dropped, which may be on another CPU than its queue's.
pub struct TimerNode<'q> {
    /// Where the entry is, if it is anywhere.
    queue: Option<&'q TimerQueue>,
    /// Touched under the queue's lock, once there is a queue.
    entry: UnsafeCell<Entry<Waker>>,
    _pinned: PhantomPinned,
}

// SAFETY: the entry is touched only under the queue's lock; the waker in it can be sent.
unsafe impl Send for TimerNode<'_> {}

/// What became of a timer that was armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Armed {
    /// Its deadline is not after the queue's time: it is not queued, and its waker not called.
    Due,
    /// It waits, and its waker is called once.
    Waiting,
    /// Its deadline is [`NEVER`]: it is not queued.
    Never,
}

impl<'q> TimerNode<'q> {
    /// A timer that is not queued.
    pub const fn new() -> Self {
        Self { queue: None, entry: UnsafeCell::new(Entry::new()), _pinned: PhantomPinned }
    }

    fn entry(&self) -> NonNull<Entry<Waker>> {
        // SAFETY: a cell's pointer is not null.
        unsafe { NonNull::new_unchecked(self.entry.get()) }
    }

    /// Queues it at `queue`, to wake `waker` when that is told that it is `deadline` or later. If
    /// it was queued, there or elsewhere, it is taken out before.
    pub fn arm(
        mut self: Pin<&mut Self>,
        queue: &'q TimerQueue,
        deadline: u64,
        waker: &Waker,
    ) -> Armed {
        if deadline == NEVER || self.queue.is_some_and(|old| !core::ptr::eq(old, queue)) {
            self.as_mut().cancel();
        }
        if deadline == NEVER {
            return Armed::Never;
        }
        // SAFETY: nothing is moved.
        unsafe { self.as_mut().get_unchecked_mut() }.queue = Some(queue);
        // SAFETY: the entry is in this queue or in none. It is pinned, and this type touches it
        // through the queue alone, and takes it out when it is dropped.
        let (placed, old) = unsafe { queue.arm(self.entry(), deadline, waker.clone()) };
        drop(old);
        match placed {
            Placed::Due => Armed::Due,
            Placed::Waiting => Armed::Waiting,
        }
    }

    /// Takes it out; the waker that is not called now, if it waited.
    pub fn cancel(self: Pin<&mut Self>) -> Option<Waker> {
        // SAFETY: nothing is moved.
        unsafe { self.get_unchecked_mut() }.leave()
    }

    fn leave(&mut self) -> Option<Waker> {
        let queue = self.queue.take()?;
        // SAFETY: the entry is in this queue or in none.
        unsafe { queue.cancel(self.entry()) }
    }

    /// Whether it waits on. If so, `waker` is the one that is called, from now on.
    pub fn still_waits(self: Pin<&mut Self>, waker: &Waker) -> bool {
        // SAFETY: the entry is in this queue or in none.
        self.queue.is_some_and(|queue| unsafe { queue.still_waits(self.entry(), waker) })
    }
}

impl Default for TimerNode<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TimerNode<'_> {
    fn drop(&mut self) {
        drop(self.leave());
    }
}
