//! A cell for one waiter: a waker that is left by who waits, and taken by who wakes. Without a lock,
//! so that it may be woken from where a lock may be held by whoever was interrupted.
//!
//! ```text
//!                  1                        2
//!   REGISTERING ◄─────► REST ◄─────► WAKING
//!        │                              │
//!        │ 3                            │ 4
//!        ▼                              ▼
//!   the wake finds nobody, but     the waiter wakes itself, to try again
//!   the waiter has yet to check
//! ```
//! 1. the waiter puts its waker in, and is done with it; 2. a waker takes it out, and is done;
//! 3. a wake that comes while the waiter registers leaves the cell alone: the waiter checks after
//! that, and sees what the wake was for; 4. a waiter that comes while someone is waking calls its
//! own waker: it will come again. CLOSED is one more bit, which stays.
//!
//! ```
//! use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
//! use orbital_executor::wait_cell::{Closed, WaitCell};
//!
//! static READY: AtomicBool = AtomicBool::new(false);
//! static CELL: WaitCell = WaitCell::new();
//! async fn wait() -> Result<(), Closed> {
//!     CELL.wait_until(|| READY.load(SeqCst)).await
//! }
//! # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
//! # let mut waiting = std::pin::pin!(wait());
//! # assert!(waiting.as_mut().poll(&mut context).is_pending());
//! READY.store(true, SeqCst);
//! assert!(CELL.wake(), "someone waited");
//! # assert!(waiting.as_mut().poll(&mut context).is_ready());
//! ```

use core::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::sync::{AtomicUsize, Ordering, UnsafeCell, const_unless_loom};

const REST: usize = 0;
const REGISTERING: usize = 1;
const WAKING: usize = 2;
const CLOSED: usize = 4;

/// The cell. For one waiter at a time: the waker of a second one takes the place of the first's.
pub struct WaitCell {
    state: AtomicUsize,
    /// Touched by who has brought the state out of REST, and by nobody else until it is back.
    waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the state says who may touch the waker, which can be sent.
unsafe impl Sync for WaitCell {}
// SAFETY: as above.
unsafe impl Send for WaitCell {}

/// The cell is closed: nobody will be woken by it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl WaitCell {
    const_unless_loom! {
        /// A cell in which nobody waits.
        pub fn new() -> Self {
            Self { state: AtomicUsize::new(REST), waker: UnsafeCell::new(None) }
        }
    }

    /// Leaves a clone of `waker` for the next wake. Check what you wait for after this, not before.
    ///
    /// # Errors
    /// [`Closed`].
    pub fn register(&self, waker: &Waker) -> Result<(), Closed> {
        let waker = waker.clone();
        match self.exchange(REST, REGISTERING) {
            Ok(_) => self.put(waker),
            Err(state) if state & CLOSED != 0 => Err(Closed),
            #[cfg(loom)]
            Err(_) if planted(Bug::CellForgetsWaiter) => Ok(()),
            Err(_) => {
                // Someone is waking, or another one registers: try again.
                waker.wake();
                Ok(())
            }
        }
    }

    fn exchange(&self, from: usize, to: usize) -> Result<usize, usize> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Transition 1, from REGISTERING.
    fn put(&self, waker: Waker) -> Result<(), Closed> {
        // SAFETY: the state is the caller's.
        let old = self.waker.with_mut(|place| unsafe { (*place).replace(waker) });
        // What was done before a wake that came meanwhile is seen from here on.
        let order = Ordering::AcqRel;
        #[cfg(loom)]
        let order = if planted(Bug::CellRelaxed) { Ordering::Relaxed } else { order };
        let state = self.state.fetch_and(CLOSED, order);
        // Here, where the cell is free again: a waker's drop may run anything.
        drop(old);
        if state & CLOSED != 0 {
            self.clear();
            return Err(Closed);
        }
        Ok(())
    }

    /// Sets `bits`, of which WAKING is one, and takes the waker out if nobody else is doing something
    /// with it.
    fn take(&self, bits: usize) -> Option<Waker> {
        #[cfg(loom)]
        if planted(Bug::CellTakesUnannounced) {
            // SAFETY: it is not: that is the mistake.
            return self.waker.with_mut(|place| unsafe { (*place).take() });
        }
        let before = self.state.fetch_or(bits, Ordering::AcqRel);
        if before & (REGISTERING | WAKING) != 0 {
            return None;
        }
        // SAFETY: the state was at rest and is the caller's now.
        let waker = self.waker.with_mut(|place| unsafe { (*place).take() });
        self.state.fetch_and(!WAKING, Ordering::AcqRel);
        waker
    }

    /// Wakes who waits, once; whether someone did. Make true what it waits for before.
    pub fn wake(&self) -> bool {
        let waker = self.take(WAKING);
        let found = waker.is_some();
        if let Some(waker) = waker {
            waker.wake();
        }
        found
    }

    /// Drops the waker of a waiter that waits no longer.
    pub fn clear(&self) {
        drop(self.take(WAKING));
    }

    /// Wakes who waits, for the last time: who registers from now on is refused.
    pub fn close(&self) {
        #[cfg(loom)]
        if planted(Bug::CellClosesSilently) {
            self.state.fetch_or(CLOSED, Ordering::AcqRel);
            return;
        }
        #[cfg(loom)]
        if planted(Bug::CellCloseStores) {
            self.state.store(CLOSED, Ordering::Release);
        }
        if let Some(waker) = self.take(WAKING | CLOSED) {
            waker.wake();
        }
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.state.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Waits until `condition` holds. It is checked after the waiter has registered, so a wake
    /// between the two is not lost: make the condition true, then wake. What holds when the cell is
    /// closed is still found.
    pub fn wait_until<C: FnMut() -> bool>(&self, condition: C) -> CellWait<'_, C> {
        CellWait { cell: self, condition, has_registered: false }
    }
}

impl Default for WaitCell {
    fn default() -> Self {
        Self::new()
    }
}

/// The future of [`WaitCell::wait_until`]. It takes its waker along when it is dropped.
#[must_use = "futures do nothing unless awaited"]
pub struct CellWait<'a, C> {
    cell: &'a WaitCell,
    condition: C,
    has_registered: bool,
}

impl<C> CellWait<'_, C> {
    fn leave(&mut self) {
        if core::mem::take(&mut self.has_registered) {
            self.cell.clear();
        }
    }
}

/// The condition is never pinned.
impl<C> Unpin for CellWait<'_, C> {}

impl<C: FnMut() -> bool> Future for CellWait<'_, C> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let registered = self.cell.register(context.waker());
        self.has_registered = registered.is_ok();
        if (self.condition)() {
            self.leave();
            return Poll::Ready(Ok(()));
        }
        if registered.is_err() { Poll::Ready(Err(Closed)) } else { Poll::Pending }
    }
}

impl<C> Drop for CellWait<'_, C> {
    fn drop(&mut self) {
        self.leave();
    }
}
