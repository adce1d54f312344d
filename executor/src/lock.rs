//! A spin lock for a few instructions: what wait queues and timer queues guard their lists with.
//!
//! Who holds it runs nobody else's code (no waker is called, cloned or dropped under it), so it is
//! never taken twice by one thread. It must not be taken where its holder can be interrupted by
//! someone who takes it too: the kernel runs with interrupts off, and threads of a program that
//! share one should have the same priority.

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::sync::{AtomicUsize, Ordering, UnsafeCell, const_unless_loom, spin};

/// A value that is touched under a lock.
pub(crate) struct Lock<T> {
    taken: AtomicUsize,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one thread at a time, which is as if it were sent there.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    const_unless_loom! {
        /// An unlocked value.
        pub fn new(value: T) -> Self {
            Self { taken: AtomicUsize::new(0), value: UnsafeCell::new(value) }
        }
    }

    /// Runs `f` with the value, alone.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        self.acquire();
        // SAFETY: the lock is held, and `f` can't take it again: it runs no code of others.
        let result = self.value.with_mut(|value| f(unsafe { &mut *value }));
        self.release();
        result
    }

    fn acquire(&self) {
        #[cfg(loom)]
        if planted(Bug::LockAdmitsAll) {
            return;
        }
        while self.taken.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spin();
        }
    }

    fn release(&self) {
        #[cfg(loom)]
        if planted(Bug::UnlockRelaxed) {
            return self.taken.store(0, Ordering::Relaxed);
        }
        self.taken.store(0, Ordering::Release);
    }
}
