//! A mutex between threads.
//!
//! ```text
//!   users:  0 ──lock──► 1 ──lock──► 2 …         the first has it, the others wait at the gate
//!             ◄─unlock─   ◄─unlock─ + open      whoever unlocks while there are others lets one pass
//! ```
//! So the gate is opened once for each that waits, and the next time only when that one has unlocked.

use core::{
    cell::UnsafeCell,
    fmt,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::gate::Gate;

/// A value that one thread at a time has.
pub struct Mutex<T: ?Sized> {
    /// How many hold it or want it.
    users: AtomicUsize,
    gate: Gate,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one thread at a time: see the module's text.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

/// Access to a mutex's value.
#[must_use = "it is unlocked when this is dropped"]
pub struct MutexGuard<'a, T: ?Sized>(pub(super) &'a Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    pub const fn new(value: T) -> Self {
        Self { users: AtomicUsize::new(0), gate: Gate::new(), value: UnsafeCell::new(value) }
    }

    /// The value, when nobody else can have it.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until nobody else holds it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if self.users.fetch_add(1, Ordering::Acquire) != 0 {
            self.gate.pass();
        }
        MutexGuard(self)
    }

    /// Locks it, if nobody holds it or waits for it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let exchange = self.users.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed);
        exchange.is_ok().then(|| MutexGuard(self))
    }

    fn unlock(&self) {
        if self.users.fetch_sub(1, Ordering::Release) > 1 {
            self.gate.open();
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the one user's that has the value.
        unsafe { &*self.0.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(value) => f.debug_tuple("Mutex").field(&&*value).finish(),
            None => f.write_str("Mutex(locked)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mutex;

    #[test]
    fn who_does_not_want_to_wait_is_told() {
        let mutex = Mutex::new(1);
        let mut guard = mutex.try_lock().expect("nobody has it");
        *guard += 1;
        assert!(mutex.try_lock().is_none());
        assert_eq!(format!("{mutex:?}"), "Mutex(locked)");
        drop(guard);
        assert_eq!(format!("{mutex:?}"), "Mutex(2)");
        assert_eq!(mutex.into_inner(), 2);
    }
}
