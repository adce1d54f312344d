//! Condition variables: threads that wait until something holds for the value of a [`Mutex`].
//!
//! ```text
//!            1               2                  3
//!   running ───► in the list ───► out, and told ───► running, with the mutex
//!                     │                                ▲
//!                     └──────────── 4 ─────────────────┘
//! ```
//! 1. before the mutex is unlocked, so whoever changes the value behind it finds the thread there; 2. the first in the
//! list, by [`Condvar::notify_one`], or all; 3. woken; 4. its deadline has passed, and it takes itself out.
//!
//! Nodes stand on the waiting threads' stacks, so waiting takes no memory.

use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    pin::{Pin, pin},
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use orbital_abi::{Deadline, Error};

use super::{
    Mutex, MutexGuard,
    park::{Unparker, park, unparker},
};

/// Where threads wait to be told.
pub struct Condvar {
    list: Mutex<List>,
}

struct List {
    first: Option<NonNull<Node>>,
    last: Option<NonNull<Node>>,
}

// SAFETY: nodes in the list live, and are touched under the mutex alone, but for what is atomic.
unsafe impl Send for List {}

/// One who waits.
struct Node {
    thread: Unparker,
    /// It was taken out of the list. The last that others touch.
    is_told: AtomicBool,
    /// Its neighbours; the list's.
    links: UnsafeCell<Links>,
    _pinned: PhantomPinned,
}

#[derive(Clone, Copy)]
struct Links {
    before: Option<NonNull<Node>>,
    after: Option<NonNull<Node>>,
}

impl Condvar {
    /// One where nobody waits.
    pub const fn new() -> Self {
        Self { list: Mutex::new(List { first: None, last: None }) }
    }

    /// Unlocks the mutex of `guard`, waits to be told, and locks it again. What is waited for may be gone by then: see
    /// [`Condvar::wait_while`].
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_with(guard, Deadline::Never).0
    }

    /// The same as long as `condition` holds.
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Waits to be told until `deadline` (nanoseconds since boot); whether it was.
    pub fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: u64,
    ) -> (MutexGuard<'a, T>, bool) {
        self.wait_with(guard, Deadline::from_bits(deadline))
    }

    fn wait_with<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (MutexGuard<'a, T>, bool) {
        let links = UnsafeCell::new(Links { before: None, after: None });
        let is_told = AtomicBool::new(false);
        let node = pin!(Node { thread: unparker(), is_told, links, _pinned: PhantomPinned });
        let node = node.into_ref();
        // SAFETY: it does not leave this function before it is told, or takes itself out.
        unsafe { self.list.lock().push_back(node) };
        let mutex = guard.0;
        drop(guard);
        let is_told = || node.is_told.load(Ordering::Acquire);
        let mut was_told = is_told();
        while !was_told {
            let is_late = matches!(park(deadline), Err(Error::TimedOut | Error::WouldBlock));
            was_told = is_told();
            if is_late && !was_told {
                let mut list = self.list.lock();
                was_told = is_told();
                if !was_told {
                    // SAFETY: it is in this list, or it would have been told.
                    unsafe { list.unlink(NonNull::from(&*node)) };
                }
                break;
            }
        }
        (mutex.lock(), was_told)
    }

    /// Tells the one that has waited longest.
    pub fn notify_one(&self) {
        let thread = self.list.lock().tell_first();
        thread.into_iter().for_each(Unparker::unpark);
    }

    /// Tells all who wait now.
    pub fn notify_all(&self) {
        let mut list = self.list.lock();
        while let Some(thread) = list.tell_first() {
            thread.unpark();
        }
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl List {
    /// # Safety
    /// The node lives until it is told or unlinked.
    unsafe fn push_back(&mut self, node: Pin<&Node>) {
        let node = NonNull::from(&*node);
        // SAFETY: it is new, and this list's from now on; the last one lives.
        unsafe { (*node.as_ref().links.get()).before = self.last };
        match self.last {
            // SAFETY: as above.
            Some(last) => unsafe { (*last.as_ref().links.get()).after = Some(node) },
            None => self.first = Some(node),
        }
        self.last = Some(node);
    }

    /// # Safety
    /// The node is in this list.
    unsafe fn unlink(&mut self, node: NonNull<Node>) {
        // SAFETY: it and its neighbours are in this list, and live.
        unsafe {
            let Links { before, after } = *node.as_ref().links.get();
            match before {
                Some(before) => (*before.as_ref().links.get()).after = after,
                None => self.first = after,
            }
            match after {
                Some(after) => (*after.as_ref().links.get()).before = before,
                None => self.last = before,
            }
        }
    }

    /// Takes the first one out, which is to be woken.
    fn tell_first(&mut self) -> Option<Unparker> {
        let first = self.first?;
        // SAFETY: it is in the list, so it lives until it is told, which comes last.
        unsafe {
            self.unlink(first);
            let thread = first.as_ref().thread;
            first.as_ref().is_told.store(true, Ordering::Release);
            Some(thread)
        }
    }
}
