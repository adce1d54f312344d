//! The outcome of one operation, for which several compete: who completes it, a deadline, a kill, a
//! revoke. The first one decides it; the others are told that they came too late. One waits for it.
//!
//! ```text
//!             1               2             3
//!   WAITING ─────► CLAIMED ─────► READY ─────► TAKEN
//! ```
//! 1. a compare-exchange, by which one of the competitors wins; 2. it has written the value, and
//! wakes; 3. the waiter takes the value out. So cancelling is completing with another value, and
//! its acknowledgement is which of the two won. Dropping the waiting future only detaches it.
//!
//! ```
//! use orbital_executor::completion::Completion;
//!
//! let reply = Completion::<Result<u32, &str>>::new();
//! assert_eq!(reply.complete(Ok(7)), Ok(()));
//! assert_eq!(reply.complete(Err("cancelled")), Err(Err("cancelled")), "too late");
//! assert_eq!(reply.try_take(), Some(Ok(7)));
//! ```

use core::{
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::{
    sync::{AtomicUsize, Ordering, UnsafeCell, const_unless_loom},
    wait_cell::WaitCell,
};

const WAITING: usize = 0;
const CLAIMED: usize = 1;
const READY: usize = 2;
const TAKEN: usize = 3;

/// A value that is decided once.
pub struct Completion<T> {
    state: AtomicUsize,
    /// Touched by who made transition 1, and then by who made transition 3.
    value: UnsafeCell<Option<T>>,
    waiter: WaitCell,
}

// SAFETY: the state says who may touch the value, which goes from one thread to another.
unsafe impl<T: Send> Sync for Completion<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Completion<T> {}

impl<T> Completion<T> {
    const_unless_loom! {
        /// Undecided.
        pub fn new() -> Self {
            Self {
                state: AtomicUsize::new(WAITING),
                value: UnsafeCell::new(None),
                waiter: WaitCell::new(),
            }
        }
    }

    /// Decides it, and wakes who waits.
    ///
    /// # Errors
    /// The value, when it is decided already.
    pub fn complete(&self, value: T) -> Result<(), T> {
        if !self.claim() {
            return Err(value);
        }
        // SAFETY: transition 1 was this call's, and nobody else has the value before transition 2.
        self.value.with_mut(|place| unsafe { *place = Some(value) });
        let order = Ordering::Release;
        #[cfg(loom)]
        let order = if planted(Bug::ReadyRelaxed) { Ordering::Relaxed } else { order };
        #[cfg(loom)]
        if planted(Bug::ReadyAfterWake) {
            self.waiter.wake();
            self.state.store(READY, order);
            return Ok(());
        }
        self.state.store(READY, order);
        self.waiter.wake();
        Ok(())
    }

    fn claim(&self) -> bool {
        #[cfg(loom)]
        if planted(Bug::ClaimStores) {
            let is_first = self.state.load(Ordering::Acquire) == WAITING;
            self.state.store(CLAIMED, Ordering::Release);
            return is_first;
        }
        self.state.compare_exchange(WAITING, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes the value, once it is there and nobody has taken it.
    pub fn try_take(&self) -> Option<T> {
        self.state.compare_exchange(READY, TAKEN, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: transition 3 was this call's; the value was written before transition 2.
        self.value.with_mut(|place| unsafe { (*place).take() })
    }

    /// Whether someone has decided it.
    pub fn is_decided(&self) -> bool {
        self.state.load(Ordering::Relaxed) != WAITING
    }

    /// Waits for the value and takes it. For one waiter at a time; a second one, after the value
    /// was taken, waits for ever.
    pub fn wait(&self) -> CompletionWait<'_, T> {
        CompletionWait { completion: self }
    }
}

impl<T> Default for Completion<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The future of [`Completion::wait`].
#[must_use = "futures do nothing unless awaited"]
pub struct CompletionWait<'a, T> {
    completion: &'a Completion<T>,
}

impl<T> Future for CompletionWait<'_, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let completion = self.completion;
        // Register, then check. The cell is never closed.
        let _ = completion.waiter.register(context.waker());
        completion.try_take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T> Drop for CompletionWait<'_, T> {
    fn drop(&mut self) {
        self.completion.waiter.clear();
    }
}
