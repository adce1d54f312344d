//! A mutex between threads. Who has to wait sleeps on an endpoint, which is made when there is
//! something to wait for: so the holder runs whatever the priorities are.

use core::{
    cell::UnsafeCell,
    ops::{Deref, DerefMut},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use orbital_abi::{CapSlot, Message};

use crate::{endpoint::Endpoint, thread};

/// A mutex.
pub struct Mutex<T> {
    /// How many hold it or want it.
    users: AtomicUsize,
    /// Where they wait; 0 until it is needed.
    endpoint: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by one thread at a time: see `lock`.
unsafe impl<T: Send> Sync for Mutex<T> {}

/// Access to a mutex's value.
pub struct MutexGuard<'a, T>(&'a Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    pub const fn new(value: T) -> Self {
        Self {
            users: AtomicUsize::new(0),
            endpoint: AtomicU64::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until nobody else holds it.
    ///
    /// The first user has it; every later one waits for one message, and whoever unlocks while there
    /// are others sends one. So there is one message for each that waits.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        if self.users.fetch_add(1, Ordering::Acquire) != 0 {
            while self.with_endpoint(|endpoint| endpoint.receive().is_ok()) != Some(true) {
                thread::yield_now();
            }
        }
        MutexGuard(self)
    }

    fn unlock(&self) {
        if self.users.fetch_sub(1, Ordering::Release) > 1 {
            let token = Message::default();
            while self.with_endpoint(|endpoint| endpoint.send(&token).is_ok()) != Some(true) {
                thread::yield_now();
            }
        }
    }

    /// Runs `f` with the endpoint; `None` when there is none and no memory for one.
    fn with_endpoint<R>(&self, f: impl FnOnce(&Endpoint) -> R) -> Option<R> {
        let mut bits = self.endpoint.load(Ordering::Acquire);
        if bits == 0 {
            let made = Endpoint::create().ok()?;
            let mine = made.slot().bits();
            let exchange =
                self.endpoint.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire);
            bits = match exchange {
                Ok(_) => {
                    core::mem::forget(made);
                    mine
                }
                // Someone was quicker; ours is closed.
                Err(theirs) => theirs,
            };
        }
        // The mutex keeps it open.
        let endpoint = core::mem::ManuallyDrop::new(Endpoint::from_slot(CapSlot::from_bits(bits)));
        Some(f(&endpoint))
    }

    /// The value, when nobody else can have it.
    pub fn into_inner(self) -> T {
        let mut this = core::mem::ManuallyDrop::new(self);
        this.close();
        // SAFETY: `this` is not used again, so the value is moved out once.
        unsafe { core::ptr::read(this.value.get()) }
    }

    /// Closes the endpoint, for good.
    fn close(&mut self) {
        let bits = *self.endpoint.get_mut();
        if bits != 0 {
            drop(Endpoint::from_slot(CapSlot::from_bits(bits)));
        }
    }
}

impl<T> Drop for Mutex<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard is the one user's that has the value.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.0.unlock();
    }
}
