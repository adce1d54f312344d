//! Intrusive FIFO queues of threads that are ready, of which run queues are made. Being in one takes no memory and
//! keeps the thread alive.
//!
//! A thread is in at most one of them. It can be in a [`WaitingQueue`](super::WaitingQueue) too: a deadline makes a
//! thread ready that still stands at an endpoint, and leaves that queue when its operation is polled.

use core::{cell::UnsafeCell, ptr::NonNull};

use super::Tcb;
use crate::object::Ref;

/// A thread's place in a queue.
pub(super) struct Link(UnsafeCell<Neighbours>);

/// What `linked` does not hold for means nothing.
#[derive(Clone, Copy)]
struct Neighbours {
    linked: bool,
    before: Option<NonNull<Tcb>>,
    after: Option<NonNull<Tcb>>,
}

// SAFETY: a link is touched only by the methods of the one queue that the thread is in, and those
// need `&mut` of the queue.
unsafe impl Sync for Link {}
// SAFETY: as above.
unsafe impl Send for Link {}

impl Link {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(Neighbours { linked: false, before: None, after: None }))
    }
}

/// A queue of threads. The caller sees to it that a thread is in one at a time.
pub struct ReadyQueue {
    first: Option<NonNull<Tcb>>,
    last: Option<NonNull<Tcb>>,
}

// SAFETY: the queue owns a counted reference to each thread in it, and those can be sent.
unsafe impl Send for ReadyQueue {}

fn neighbours(thread: NonNull<Tcb>) -> *mut Neighbours {
    // SAFETY: the queue or the caller holds a reference to the thread.
    unsafe { thread.as_ref() }.link.0.get()
}

/// The thread is in no queue any more; between whom it was.
///
/// # Safety
/// It is in the queue of which the caller has the `&mut`.
#[inline(always)]
unsafe fn leave(thread: NonNull<Tcb>) -> Neighbours {
    // SAFETY: the caller's.
    let place = unsafe { &mut *neighbours(thread) };
    place.linked = false;
    *place
}

impl ReadyQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { first: None, last: None }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The first thread.
    pub fn first(&self) -> Option<&Tcb> {
        // SAFETY: the queue holds a reference to each thread in it.
        self.first.map(|first| unsafe { first.as_ref() })
    }

    /// The threads, from the first to the last.
    pub fn iter(&self) -> impl Iterator<Item = &Tcb> {
        let mut next = self.first;
        core::iter::from_fn(move || {
            let thread = next?;
            // SAFETY: the link is this queue's, which does not change while it is borrowed.
            next = unsafe { (*neighbours(thread)).after };
            // SAFETY: the queue holds a reference to each thread in it.
            Some(unsafe { thread.as_ref() })
        })
    }

    /// Puts `thread` at the end.
    #[inline]
    pub fn push_back(&mut self, thread: Ref<Tcb>) {
        self.insert(thread, |queue| (queue.last, None));
    }

    /// Puts `thread` at the front: it was preempted and goes on first.
    pub fn push_front(&mut self, thread: Ref<Tcb>) {
        self.insert(thread, |queue| (None, queue.first));
    }

    fn insert(
        &mut self,
        thread: Ref<Tcb>,
        place: impl FnOnce(&Self) -> (Option<NonNull<Tcb>>, Option<NonNull<Tcb>>),
    ) {
        let (before, after) = place(self);
        let thread = thread.into_raw();
        // SAFETY: the thread is in no queue, so the link is this queue's from now on.
        unsafe {
            debug_assert!(!(*neighbours(thread)).linked, "a thread in two queues");
            *neighbours(thread) = Neighbours { linked: true, before, after };
        }
        self.join(before, Some(thread));
        self.join(Some(thread), after);
    }

    /// Makes `left` and `right` neighbours; `None` is the queue's end.
    fn join(&mut self, left: Option<NonNull<Tcb>>, right: Option<NonNull<Tcb>>) {
        // SAFETY: both are in this queue, whose `&mut` we have.
        unsafe {
            match left {
                Some(left) => (*neighbours(left)).after = right,
                None => self.first = right,
            }
            match right {
                Some(right) => (*neighbours(right)).before = left,
                None => self.last = left,
            }
        }
    }

    /// Takes the first thread.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Ref<Tcb>> {
        let first = self.first?;
        // SAFETY: it is in this queue, and before it there is nobody.
        let after = unsafe { leave(first) }.after;
        self.join(None, after);
        // SAFETY: `insert` gave this reference away, and the thread has just left the queue.
        Some(unsafe { Ref::from_raw(first) })
    }

    /// Takes `thread` out of this queue; `None` when it is in none.
    ///
    /// # Safety
    /// `thread` is in this queue or in none.
    pub unsafe fn remove(&mut self, thread: &Tcb) -> Option<Ref<Tcb>> {
        let thread = NonNull::from(thread);
        // SAFETY: the link is this queue's or nobody's, by the caller's word.
        let linked = unsafe { (*neighbours(thread)).linked };
        linked.then(|| self.unlink(thread))
    }

    fn unlink(&mut self, thread: NonNull<Tcb>) -> Ref<Tcb> {
        // SAFETY: the thread is in this queue.
        let Neighbours { before, after, .. } = unsafe { leave(thread) };
        self.join(before, after);
        // SAFETY: `insert` gave this reference away, and the thread has just left the queue.
        unsafe { Ref::from_raw(thread) }
    }
}

impl Default for ReadyQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ReadyQueue {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}
