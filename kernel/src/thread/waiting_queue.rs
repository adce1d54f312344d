//! Queues of threads that wait, at endpoints and notifications: the more urgent first, and equals in the order in
//! which they came. Being in one takes no memory and keeps the thread alive. A thread is in at most one of them.
//!
//! ```text
//!   first                                    last
//!    a:7 ◄──► b:7 ◄──► c:5 ◄──► d:2 ◄──► e:2 ◄──► f:2
//!              ▲────────┤▲─────────────────────────┘
//!                above
//! ```
//! Threads of one priority are a level. The last of each level knows the last of the level above, so the place of
//! one that comes is found by way of the levels, of which there are at most 256, and not of the threads.
//! So is who stands below one that was the last of its level and goes.
//!
//! A thread stands by the priority that it had when it came, or last [stood anew](WaitingQueue::stand_anew).

use core::{
    cell::UnsafeCell,
    iter::successors,
    ptr::{self, NonNull},
};

use super::Tcb;
use crate::object::Ref;

/// A thread's place in such a queue.
pub(super) struct Place(UnsafeCell<Neighbours>);

/// By which priority it stands there; `None` while it stands in none. Apart from the place for the room that
/// alignment would take.
pub(super) struct Level(UnsafeCell<Option<u8>>);

#[derive(Default)]
struct Neighbours {
    before: Option<NonNull<Tcb>>,
    after: Option<NonNull<Tcb>>,
    /// Of the last of a level: the last of the level above.
    above: Option<NonNull<Tcb>>,
}

// SAFETY: both are touched only by the methods of the one queue that the thread is in, and those
// need `&mut` of the queue.
unsafe impl Sync for Place {}
// SAFETY: as above.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Level {}

impl Place {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(Neighbours { before: None, after: None, above: None }))
    }
}

impl Level {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }
}

/// A queue of threads. The caller sees to it that a thread is in one at a time.
pub struct WaitingQueue {
    first: Option<NonNull<Tcb>>,
    last: Option<NonNull<Tcb>>,
    /// Where a walk goes on.
    next_of_walk: Option<NonNull<Tcb>>,
}

// SAFETY: the queue owns a counted reference to each thread in it, and those can be sent.
unsafe impl Send for WaitingQueue {}

fn place(thread: NonNull<Tcb>) -> *mut Neighbours {
    // SAFETY: the queue or the caller holds a reference to the thread.
    unsafe { thread.as_ref() }.place.0.get()
}

fn level(thread: NonNull<Tcb>) -> *mut Option<u8> {
    // SAFETY: as above.
    unsafe { thread.as_ref() }.level.0.get()
}

impl WaitingQueue {
    /// An empty queue.
    pub const fn new() -> Self {
        Self { first: None, last: None, next_of_walk: None }
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

    /// The threads, from the first on.
    pub fn iter(&self) -> impl Iterator<Item = &Tcb> {
        // SAFETY: the queue holds a reference to each thread in it, and is borrowed as long as this is used.
        let next = |thread: &NonNull<Tcb>| unsafe { (*place(*thread)).after };
        // SAFETY: as above.
        successors(self.first, next).map(|thread| unsafe { thread.as_ref() })
    }

    /// The first thread, to be looked at and perhaps taken.
    #[inline(always)]
    pub fn first_waiting(&mut self) -> Option<FirstWaiting<'_>> {
        let thread = self.first?;
        Some(FirstWaiting { queue: self, thread })
    }

    /// Whether another thread than `thread` is in it.
    pub fn has_others_than(&self, thread: &Tcb) -> bool {
        // Nobody is in it twice.
        [self.first, self.last].into_iter().flatten().any(|it| it != NonNull::from(thread))
    }

    /// Begins a walk, from the last thread to the first, in place of one that goes on. It takes turns with all
    /// else that happens to the queue: those who leave it are not visited, nor those who come to where it has been.
    /// Others who come are; but to a level where it has begun nobody comes in its way, so it ends.
    pub fn begin_walk(&mut self) {
        self.next_of_walk = self.last;
    }

    /// The next thread of the walk.
    pub fn next_of_walk(&mut self) -> Option<&Tcb> {
        let thread = self.next_of_walk?;
        // SAFETY: it has not left the queue, or another would be the next.
        self.next_of_walk = unsafe { (*place(thread)).before };
        // SAFETY: the queue holds a reference to each thread in it.
        Some(unsafe { thread.as_ref() })
    }

    /// Puts `thread` behind those that are as urgent.
    #[inline(always)]
    pub fn insert(&mut self, thread: Ref<Tcb>) {
        let priority = thread.priority();
        let thread = thread.into_raw();
        // SAFETY: the thread is in no queue, so its place is this queue's from now on.
        unsafe {
            debug_assert!((*level(thread)).is_none(), "a thread in two queues");
            *level(thread) = Some(priority);
        }
        if self.last.is_none() {
            // Its neighbours are nobody.
            (self.first, self.last) = (Some(thread), Some(thread));
        } else {
            self.insert_among(thread, priority);
        }
    }

    /// The same, among others.
    #[cold]
    #[inline(never)]
    fn insert_among(&mut self, thread: NonNull<Tcb>, priority: u8) {
        // The last of the level below its own, and the last that is as urgent or more.
        let (mut below, mut before) = (None, self.last);
        // SAFETY: all of them are in this queue, whose `&mut` we have.
        unsafe {
            while let Some(last) = before
                && *level(last) < Some(priority)
            {
                (below, before) = (before, (*place(last)).above);
            }
            let equal = before.filter(|before| *level(*before) == Some(priority));
            (*place(thread)).above = match equal {
                Some(equal) => (*place(equal)).above.take(),
                None => before,
            };
            if let Some(below) = below {
                (*place(below)).above = Some(thread);
            }
            let after = match before {
                Some(before) => (*place(before)).after,
                None => self.first,
            };
            self.join(before, Some(thread));
            self.join(Some(thread), after);
        }
    }

    /// Makes `left` and `right` neighbours; `None` is the queue's end.
    ///
    /// # Safety
    /// Both are in this queue.
    unsafe fn join(&mut self, left: Option<NonNull<Tcb>>, right: Option<NonNull<Tcb>>) {
        // SAFETY: the caller's, and we have its `&mut`.
        unsafe {
            match left {
                Some(left) => (*place(left)).after = right,
                None => self.first = right,
            }
            match right {
                Some(right) => (*place(right)).before = left,
                None => self.last = left,
            }
        }
    }

    /// Takes the first thread.
    #[inline]
    pub fn pop_front(&mut self) -> Option<Ref<Tcb>> {
        let first = self.first?;
        Some(self.unlink(first))
    }

    /// Takes `thread` out of this queue; `None` when it is in none.
    ///
    /// # Safety
    /// `thread` is in this queue or in none.
    pub unsafe fn remove(&mut self, thread: &Tcb) -> Option<Ref<Tcb>> {
        let thread = NonNull::from(thread);
        // SAFETY: its place is this queue's or nobody's, by the caller's word.
        let is_here = unsafe { (*level(thread)).is_some() };
        is_here.then(|| self.unlink(thread))
    }

    /// Puts `thread` behind those that are as urgent as it is now, if it is in this queue.
    ///
    /// # Safety
    /// As for [`WaitingQueue::remove`].
    pub unsafe fn stand_anew(&mut self, thread: &Tcb) {
        // SAFETY: the caller's.
        if let Some(thread) = unsafe { self.remove(thread) } {
            self.insert(thread);
        }
    }

    /// The priority by which the first thread stands there.
    pub fn top(&self) -> Option<u8> {
        // SAFETY: the queue holds a reference to each thread in it.
        self.first.and_then(|first| unsafe { *level(first) })
    }

    #[inline(always)]
    fn unlink(&mut self, thread: NonNull<Tcb>) -> Ref<Tcb> {
        // It is the only one: as pointers, none of which is null.
        let [first, last] =
            [self.first, self.last].map(|it| it.map_or(ptr::null_mut(), NonNull::as_ptr));
        if ptr::eq(first, last) {
            (self.first, self.last, self.next_of_walk) = (None, None, None);
        } else {
            self.unlink_among(thread);
        }
        // SAFETY: `insert` gave this reference away, and the thread leaves the queue now.
        unsafe {
            *level(thread) = None;
            Ref::from_raw(thread)
        }
    }

    /// Takes a thread out from among others.
    #[cold]
    #[inline(never)]
    fn unlink_among(&mut self, thread: NonNull<Tcb>) {
        // SAFETY: all of them are in this queue, whose `&mut` we have.
        unsafe {
            let Neighbours { before, after, above } = core::mem::take(&mut *place(thread));
            let is_equal = |other: &NonNull<Tcb>| *level(*other) == *level(thread);
            if after.filter(is_equal).is_none() {
                // It was the last of its level; there may be another one.
                let heir = before.filter(is_equal);
                if let Some(heir) = heir {
                    (*place(heir)).above = above;
                }
                if let Some(below) = self.below(thread).filter(|_| after.is_some()) {
                    (*place(below)).above = heir.or(above);
                }
            }
            if self.next_of_walk == Some(thread) {
                self.next_of_walk = before;
            }
            self.join(before, after);
        }
    }

    /// The last of the level beneath that of which `thread` was the last.
    ///
    /// # Safety
    /// It is in this queue.
    unsafe fn below(&self, thread: NonNull<Tcb>) -> Option<NonNull<Tcb>> {
        let mut last = self.last;
        while let Some(below) = last {
            // SAFETY: all of them are in this queue.
            last = unsafe { (*place(below)).above };
            if last == Some(thread) {
                return Some(below);
            }
        }
        None
    }
}

/// The first thread of a queue.
pub struct FirstWaiting<'a> {
    queue: &'a mut WaitingQueue,
    thread: NonNull<Tcb>,
}

impl FirstWaiting<'_> {
    /// Takes it off the queue.
    #[inline(always)]
    pub fn take(self) -> Ref<Tcb> {
        self.queue.unlink(self.thread)
    }
}

impl core::ops::Deref for FirstWaiting<'_> {
    type Target = Tcb;

    fn deref(&self) -> &Tcb {
        // SAFETY: the queue, which is borrowed, holds a reference to each thread in it.
        unsafe { self.thread.as_ref() }
    }
}

impl Default for WaitingQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for WaitingQueue {
    fn drop(&mut self) {
        while self.pop_front().is_some() {}
    }
}
