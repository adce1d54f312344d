//! Taking a lock that is nearly always free: the one attempt that it takes stands in line, the wait apart.
#![forbid(unsafe_code)]

use spin::{Mutex, MutexGuard};

/// Locks `mutex`.
#[inline(always)]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    match mutex.try_lock() {
        Some(guard) => guard,
        None => wait(mutex),
    }
}

#[cold]
fn wait<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
