//! Locks that are nearly always free: the one attempt that it takes stands in line, the wait apart.
//!
//! [`Mutex`] is for what each message takes. One locked instruction sets its bit and says what that was before, where
//! the exchange of a spin lock needs two registers; it is fair to nobody either.

use core::{
    cell::UnsafeCell,
    fmt,
    hint::spin_loop,
    marker::PhantomData,
    ops::{Deref, DerefMut},
    sync::atomic::{
        AtomicU16,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// Locks `mutex`.
#[inline(always)]
pub fn lock<T>(mutex: &spin::Mutex<T>) -> spin::MutexGuard<'_, T> {
    match mutex.try_lock() {
        Some(guard) => guard,
        None => wait(mutex),
    }
}

#[cold]
fn wait<T>(mutex: &spin::Mutex<T>) -> spin::MutexGuard<'_, T> {
    mutex.lock()
}

/// Set while it is locked.
const LOCKED: u16 = 1;

/// A value that one at a time may touch.
pub struct Mutex<T> {
    state: AtomicU16,
    value: UnsafeCell<T>,
}

// SAFETY: it gives the value to one at a time.
unsafe impl<T: Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// The right to touch the value, until it is dropped: by this CPU, and before anything is awaited.
#[must_use = "it is unlocked when this is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    _not_send: PhantomData<*mut ()>,
}

impl<T> Mutex<T> {
    /// One that is not locked.
    pub const fn new(value: T) -> Self {
        Self { state: AtomicU16::new(0), value: UnsafeCell::new(value) }
    }

    /// Locks it, if that is possible at once.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let is_free = self.state.fetch_or(LOCKED, Acquire) & LOCKED == 0;
        // Made only then: one that is dropped unlocks.
        is_free.then(|| MutexGuard { mutex: self, _not_send: PhantomData })
    }

    /// Locks it.
    #[inline(always)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        match self.try_lock() {
            Some(guard) => guard,
            None => self.wait(),
        }
    }

    #[cold]
    fn wait(&self) -> MutexGuard<'_, T> {
        loop {
            while self.state.load(Relaxed) != 0 {
                spin_loop();
            }
            if let Some(guard) = self.try_lock() {
                return guard;
            }
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: it is locked as long as this is there.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and this is borrowed alone.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.mutex.state.store(0, Release);
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread};

    use super::Mutex;

    #[test]
    fn who_has_it_locked_is_alone() {
        let mutex = Mutex::new(1);
        let guard = mutex.try_lock().expect("it is free");
        for _ in 0..2 {
            assert!(mutex.try_lock().is_none(), "who finds it locked leaves it so");
        }
        drop(guard);
        *mutex.lock() += 1;
        assert_eq!(*mutex.lock(), 2);
    }

    #[test]
    fn no_change_is_lost() {
        let mutex = Arc::new(Mutex::new((0, 0)));
        let add = |mutex: Arc<Mutex<(u32, u32)>>| {
            for _ in 0..1_000 {
                let mut both = mutex.lock();
                both.0 += 1;
                both.1 = both.0;
            }
        };
        let other = thread::spawn({
            let mutex = mutex.clone();
            move || add(mutex)
        });
        add(mutex.clone());
        other.join().expect("it does not panic");
        assert_eq!(*mutex.lock(), (2_000, 2_000));
    }
}
