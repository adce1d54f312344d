//! Wait queues: any number of futures wait until someone wakes them. The nodes live in the futures
//! and unlink when they are dropped, so waiting takes no memory and can't fail.
//!
//! A short spin lock guards the list. Wakers are called outside of it.

use core::{
    cell,
    marker::PhantomPinned,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};

use crate::sync::{AtomicUsize, Ordering, UnsafeCell, spin};

/// Futures that wait.
pub struct WaitQueue {
    lock: AtomicUsize,
    list: UnsafeCell<List>,
}

struct List {
    first: Option<NonNull<Node>>,
    last: Option<NonNull<Node>>,
}

struct Node {
    before: Option<NonNull<Node>>,
    after: Option<NonNull<Node>>,
    /// There while the node is in the list.
    waker: Option<Waker>,
    /// [`WaitQueue::wake_one`] took the node out of the list, and its future has not checked its
    /// condition since. Then it has someone else's wake in hand: whoever would have got it.
    owes_wake: bool,
    _pinned: PhantomPinned,
}

// SAFETY: the list is touched only under the lock; nodes are pinned and unlink before they go.
unsafe impl Send for WaitQueue {}
// SAFETY: as above.
unsafe impl Sync for WaitQueue {}

/// How many wakers are called after one turn of the lock.
const BATCH: usize = 8;

impl WaitQueue {
    /// A queue in which nobody waits.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { lock: AtomicUsize::new(0), list: UnsafeCell::new(List { first: None, last: None }) }
    }

    /// A queue in which nobody waits.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { lock: AtomicUsize::new(0), list: UnsafeCell::new(List { first: None, last: None }) }
    }

    fn locked<R>(&self, f: impl FnOnce(&mut List) -> R) -> R {
        while self.lock.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
            spin();
        }
        // SAFETY: the lock is held, and `f` can't take it again: it sees the list alone.
        let result = self.list.with_mut(|list| f(unsafe { &mut *list }));
        self.lock.store(0, Ordering::Release);
        result
    }

    /// Waits until `condition` holds. It is checked after the waiter has registered, so a wake
    /// between the two is not lost: make the condition true, then wake.
    pub fn wait_until<C: FnMut() -> bool>(&self, condition: C) -> WaitUntil<'_, C> {
        WaitUntil {
            queue: self,
            condition,
            node: cell::UnsafeCell::new(Node {
                before: None,
                after: None,
                waker: None,
                owes_wake: false,
                _pinned: PhantomPinned,
            }),
        }
    }

    /// Wakes whoever has waited longest; whether there was someone. If that one goes away instead
    /// of checking its condition again, the next one is woken: one wake for each thing that can be
    /// had is enough.
    pub fn wake_one(&self) -> bool {
        let waker = self.locked(|list| {
            let first = list.first?;
            // SAFETY: nodes in the list live, and the lock is held.
            unsafe { (*first.as_ptr()).owes_wake = true };
            list.unlink(first)
        });
        let found = waker.is_some();
        if let Some(waker) = waker {
            waker.wake();
        }
        found
    }

    /// Wakes everyone who waits now.
    pub fn wake_all(&self) {
        let mut left = self.locked(|list| list.length());
        while left > 0 {
            let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let wanted = left.min(BATCH);
            self.locked(|list| {
                for place in &mut batch[..wanted] {
                    *place = list.take_first();
                }
            });
            left -= wanted;
            for waker in batch.into_iter().flatten() {
                waker.wake();
            }
        }
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl List {
    /// Joins two neighbours; `None` is the list's end.
    fn join(&mut self, left: Option<NonNull<Node>>, right: Option<NonNull<Node>>) {
        // SAFETY: nodes in the list live, and only who holds the lock touches them.
        unsafe {
            match left {
                Some(left) => (*left.as_ptr()).after = right,
                None => self.first = right,
            }
            match right {
                Some(right) => (*right.as_ptr()).before = left,
                None => self.last = left,
            }
        }
    }

    fn push(&mut self, node: NonNull<Node>) {
        let last = self.last;
        // SAFETY: as above.
        unsafe { (*node.as_ptr()).after = None };
        self.join(last, Some(node));
        self.join(Some(node), None);
    }

    fn unlink(&mut self, node: NonNull<Node>) -> Option<Waker> {
        // SAFETY: as above.
        let (waker, before, after) = unsafe {
            let node = &mut *node.as_ptr();
            (node.waker.take()?, node.before.take(), node.after.take())
        };
        self.join(before, after);
        Some(waker)
    }

    fn take_first(&mut self) -> Option<Waker> {
        let first = self.first?;
        self.unlink(first)
    }

    fn length(&self) -> usize {
        let mut count = 0;
        let mut at = self.first;
        while let Some(node) = at {
            count += 1;
            // SAFETY: as above.
            at = unsafe { (*node.as_ptr()).after };
        }
        count
    }
}

/// The future of [`WaitQueue::wait_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct WaitUntil<'a, C> {
    queue: &'a WaitQueue,
    condition: C,
    node: cell::UnsafeCell<Node>,
}

// SAFETY: the node is touched only under the queue's lock; the waker in it can be sent.
unsafe impl<C: Send> Send for WaitUntil<'_, C> {}

impl<C> WaitUntil<'_, C> {
    fn node(&self) -> NonNull<Node> {
        // SAFETY: a cell's pointer is not null.
        unsafe { NonNull::new_unchecked(self.node.get()) }
    }

    /// Waits no longer. A wake that came after the last check is not this future's to keep.
    fn leave(&self) {
        let node = self.node();
        let (waker, owes_wake) = self.queue.locked(|list| {
            // SAFETY: the node is this future's, and the lock is held.
            (list.unlink(node), core::mem::take(unsafe { &mut (*node.as_ptr()).owes_wake }))
        });
        // Outside the lock, as the waker's drop may run anything.
        drop(waker);
        if owes_wake {
            self.queue.wake_one();
        }
    }
}

impl<C: FnMut() -> bool> Future for WaitUntil<'_, C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the node is not moved; the condition is not pinned.
        let this = unsafe { self.get_unchecked_mut() };
        let node = this.node();
        let waker = context.waker().clone();
        // Register, then check.
        let old = this.queue.locked(|list| {
            // SAFETY: the node is this future's, pinned, and the lock is held.
            let own = unsafe { &mut *node.as_ptr() };
            // The check below is what the wake was for.
            own.owes_wake = false;
            let old = own.waker.replace(waker);
            if old.is_none() {
                list.push(node);
            }
            old
        });
        drop(old);
        if (this.condition)() {
            this.leave();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl<C> Drop for WaitUntil<'_, C> {
    fn drop(&mut self) {
        self.leave();
    }
}
