//! Wait queues: any number of futures wait until someone wakes them. The nodes live in the futures
//! and unlink when they are dropped, so waiting takes no memory and can't fail.
//!
//! A short spin lock guards the list. Wakers are called outside of it, a few at a time.
//!
//! ```text
//!              1                   2
//!   new ───────────► in the list ──────► taken out, its waker called
//!    ▲                    │ ▲                 │
//!    │ 4                  │ └─────────────────┤ 3
//!    └────────────────────┴───────────────────┘
//! ```
//! 1. the first poll registers, and then checks the condition; 2. a wake; 3. the next poll registers
//! again, behind the others, and then checks; 4. the condition holds, or the future is dropped. A
//! future that goes while it has a wake of [`WaitQueue::wake_one`] in hand hands it on.

use core::{
    cell,
    marker::PhantomPinned,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll, Waker},
};

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::{lock::Lock, sync::const_unless_loom};

/// Futures that wait.
pub struct WaitQueue {
    list: Lock<List>,
}

struct List {
    first: Option<NonNull<Node>>,
    last: Option<NonNull<Node>>,
    /// The ticket of the next node that comes in.
    next_ticket: u64,
}

struct Node {
    before: Option<NonNull<Node>>,
    after: Option<NonNull<Node>>,
    /// There while the node is in the list.
    waker: Option<Waker>,
    /// Numbers the nodes in the order in which they came into the list.
    ticket: u64,
    /// [`WaitQueue::wake_one`] took the node out of the list, and its future has not checked its
    /// condition since. Then it has someone else's wake in hand: whoever would have got it.
    owes_wake: bool,
    _pinned: PhantomPinned,
}

// SAFETY: the list and its nodes are touched only under the lock; nodes are pinned and unlink
// before they go; the wakers in them can be sent.
unsafe impl Send for List {}

/// How many wakers are called after one turn of the lock.
const BATCH: usize = 8;

impl WaitQueue {
    const_unless_loom! {
        /// A queue in which nobody waits.
        pub fn new() -> Self {
            Self { list: Lock::new(List { first: None, last: None, next_ticket: 0 }) }
        }
    }

    /// Waits until `condition` holds. It is checked after the waiter has registered, so a wake
    /// between the two is not lost: make the condition true, then wake.
    pub fn wait_until<C: FnMut() -> bool>(&self, condition: C) -> WaitUntil<'_, C> {
        WaitUntil {
            queue: self,
            condition,
            has_registered: false,
            node: cell::UnsafeCell::new(Node {
                before: None,
                after: None,
                waker: None,
                ticket: 0,
                owes_wake: false,
                _pinned: PhantomPinned,
            }),
        }
    }

    /// Wakes whoever has waited longest; whether there was someone. If that one goes away instead
    /// of checking its condition again, the next one is woken: one wake for each thing that can be
    /// had is enough.
    pub fn wake_one(&self) -> bool {
        let waker = self.list.with(|list| {
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

    /// Wakes everyone who waits now. Those who come while it does, or come again, are left alone.
    pub fn wake_all(&self) {
        let mut limit = None;
        loop {
            let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
            let count = self.list.with(|list| {
                let limit = *limit.get_or_insert(list.next_ticket);
                let mut count = 0;
                while count < BATCH
                    && let Some(waker) = list.take_first_before(limit)
                {
                    batch[count] = Some(waker);
                    count += 1;
                }
                count
            });
            batch.iter_mut().take(count).filter_map(Option::take).for_each(Waker::wake);
            if count < BATCH {
                return;
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
        unsafe {
            (*node.as_ptr()).after = None;
            (*node.as_ptr()).ticket = self.next_ticket;
        }
        self.next_ticket += 1;
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

    /// Takes out the first one, if its ticket is below `limit`.
    fn take_first_before(&mut self, limit: u64) -> Option<Waker> {
        let first = self.first?;
        // SAFETY: as above.
        let ticket = unsafe { (*first.as_ptr()).ticket };
        if ticket < limit { self.unlink(first) } else { None }
    }
}

/// The future of [`WaitQueue::wait_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct WaitUntil<'a, C> {
    queue: &'a WaitQueue,
    condition: C,
    /// The node may be in the list, or have a wake in hand.
    has_registered: bool,
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
    fn leave(&mut self) {
        if !core::mem::take(&mut self.has_registered) {
            return;
        }
        let node = self.node();
        let (waker, owes_wake) = self.queue.list.with(|list| {
            // SAFETY: the node is this future's, and the lock is held.
            (list.unlink(node), core::mem::take(unsafe { &mut (*node.as_ptr()).owes_wake }))
        });
        // Outside the lock, as the waker's drop may run anything.
        drop(waker);
        #[cfg(loom)]
        if planted(Bug::WaitKeepsWake) {
            return;
        }
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
        #[cfg(loom)]
        let checked_first = planted(Bug::WaitChecksFirst).then(&mut this.condition);
        // Register, then check.
        this.has_registered = true;
        let old = this.queue.list.with(|list| {
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
        #[cfg(loom)]
        if checked_first == Some(false) {
            return Poll::Pending;
        }
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
