//! The queue: a heap of timers under a lock, and the time.

use core::{ptr::NonNull, task::Waker};

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::{
    heap::{Entry, Heap},
    lock::Lock,
    notify::{Notify, Tell},
    sync::{AtomicU64, Ordering, const_unless_loom, store_before_load},
};

/// The deadline of what is not to happen. Never queued.
pub const NEVER: u64 = u64::MAX;

/// How many wakers are called after one turn of the lock.
pub const BATCH: usize = 8;

/// Timers, mostly those of one CPU or thread.
pub struct TimerQueue {
    heap: Lock<Heap<Waker>>,
    /// What the owner said last. Written under the lock.
    now: AtomicU64,
    /// The first deadline. Written under the lock.
    first: AtomicU64,
    notify: Notify,
}

/// Where an entry is now.
pub(super) enum Placed {
    /// Nowhere: it is due.
    Due,
    /// In the queue.
    Waiting,
}

impl TimerQueue {
    const_unless_loom! {
        /// A queue without timers, at time 0, whose owner looks by itself when the next one is due.
        pub fn new() -> Self {
            Self::with(None)
        }
    }

    const_unless_loom! {
        /// A queue without timers, at time 0. `tell` is called when a timer is armed that is due
        /// before all others, with the number under which the owner has claimed the queue: the
        /// owner may be asleep until a later one.
        pub fn with(tell: Option<Tell>) -> Self {
            Self {
                heap: Lock::new(Heap::new()),
                now: AtomicU64::new(0),
                first: AtomicU64::new(NEVER),
                notify: Notify::new(tell),
            }
        }
    }

    /// Makes `number`, which is not `usize::MAX`, the owner's number for `tell`. False when there
    /// is one already.
    pub fn claim(&self, number: usize) -> bool {
        self.notify.claim(number)
    }

    /// When [`TimerQueue::fire`] has to be called next, at the latest; [`NEVER`] without timers.
    /// For [`Urgency::settle`](crate::urgency::Urgency::settle), too.
    pub fn next_deadline(&self) -> u64 {
        self.first.load(Ordering::SeqCst)
    }

    /// The queue's time: the latest that it was told.
    pub fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Says that it is `now`, and wakes all whose time has come, by their deadlines; how many. Never
    /// those that are armed anew meanwhile: they are due later, or find that they need not wait.
    pub fn fire(&self, now: u64) -> usize {
        let mut fired = 0;
        loop {
            let batch = self.fire_batch(now);
            fired += batch;
            if batch < BATCH {
                return fired;
            }
        }
    }

    /// [`TimerQueue::fire`], but wakes [`BATCH`] of them at most: if it did, there may be more.
    pub fn fire_batch(&self, now: u64) -> usize {
        let mut batch: [Option<Waker>; BATCH] = [const { None }; BATCH];
        self.heap.with(|heap| {
            for place in &mut batch {
                *place = heap.remove_first(now);
            }
            self.note_first(heap);
            #[cfg(loom)]
            if planted(Bug::FireNotesTimeLate) {
                return;
            }
            self.note_time(now);
        });
        #[cfg(loom)]
        if planted(Bug::FireNotesTimeLate) {
            self.heap.with(|_| self.note_time(now));
        }
        let mut fired = 0;
        for waker in batch.into_iter().flatten() {
            waker.wake();
            fired += 1;
        }
        fired
    }

    /// Under the lock, so that who arms a timer is seen by the firing or sees the time.
    fn note_time(&self, now: u64) {
        if now > self.now() {
            self.now.store(now, Ordering::Relaxed);
        }
    }

    /// Publishes the first deadline, if it is another one. True when it is earlier than before.
    fn note_first(&self, heap: &Heap<Waker>) -> bool {
        let first = heap.first_key().unwrap_or(NEVER);
        let before = self.first.load(Ordering::Relaxed);
        if first < before {
            #[cfg(loom)]
            if planted(Bug::TimerStores) {
                self.first.store(first, Ordering::Release);
                return true;
            }
            // An exchange: it comes before the load of an urgency by the same CPU.
            self.first.swap(first, Ordering::SeqCst);
            store_before_load();
        } else if first > before {
            // Who misses this is woken for nothing.
            self.first.store(first, Ordering::Relaxed);
        }
        first < before
    }

    /// Puts an entry into the queue, or puts it elsewhere in it, unless it is due; and the waker
    /// that it had, to be dropped.
    ///
    /// # Safety
    /// `entry` is in this queue or in none. It stays where it is, and is touched by nobody but
    /// through the queue, until it was taken out.
    pub(super) unsafe fn arm(
        &self,
        entry: NonNull<Entry<Waker>>,
        deadline: u64,
        waker: Waker,
    ) -> (Placed, Option<Waker>) {
        #[cfg(loom)]
        let time_before = self.now();
        let (placed, old, is_first) = self.heap.with(|heap| {
            let now = self.now();
            #[cfg(loom)]
            let now = if planted(Bug::TimerChecksUnlocked) { time_before } else { now };
            // SAFETY: the lock is held; the rest is the caller's.
            unsafe {
                let linked = entry.as_ref().is_linked();
                let old = if linked { heap.remove(entry) } else { None };
                if deadline <= now {
                    self.note_first(heap);
                    return (Placed::Due, old.or(Some(waker)), false);
                }
                heap.add(entry, deadline, waker);
                (Placed::Waiting, old, self.note_first(heap))
            }
        });
        if is_first {
            self.notify.tell(usize::MAX);
        }
        (placed, old)
    }

    /// Takes an entry out; the waker that it had, if it was in.
    ///
    /// # Safety
    /// `entry` is in this queue or in none.
    pub(super) unsafe fn cancel(&self, entry: NonNull<Entry<Waker>>) -> Option<Waker> {
        self.heap.with(|heap| {
            // SAFETY: the lock is held; the rest is the caller's.
            unsafe {
                let linked = entry.as_ref().is_linked();
                let waker = if linked { heap.remove(entry) } else { None };
                self.note_first(heap);
                waker
            }
        })
    }

    /// Whether an entry waits on, and then with this waker from now on. One that is due is taken
    /// out.
    ///
    /// # Safety
    /// As for [`TimerQueue::cancel`].
    pub(super) unsafe fn still_waits(
        &self,
        mut entry: NonNull<Entry<Waker>>,
        waker: &Waker,
    ) -> bool {
        let mut spare = None;
        loop {
            let found = self.heap.with(|heap| {
                // SAFETY: the lock is held; the rest is the caller's.
                let own = unsafe { entry.as_mut() };
                if !own.is_linked() {
                    return Waits::No(None);
                }
                if own.key() <= self.now() {
                    // SAFETY: it is linked, and in this queue.
                    let waker = unsafe { heap.remove(entry) };
                    self.note_first(heap);
                    return Waits::No(waker);
                }
                if own.value().as_ref().is_some_and(|own| own.will_wake(waker)) {
                    return Waits::Yes(None);
                }
                match spare.take() {
                    Some(waker) => Waits::Yes(own.value().replace(waker)),
                    None => Waits::WithAnother,
                }
            });
            // Wakers are cloned and dropped outside of the lock, as that may run anything.
            match found {
                Waits::Yes(_) => return true,
                Waits::No(_) => return false,
                Waits::WithAnother => spare = Some(waker.clone()),
            }
        }
    }
}

/// What [`TimerQueue::still_waits`] found, with a waker to drop.
enum Waits {
    Yes(#[expect(dead_code, reason = "dropped")] Option<Waker>),
    No(#[expect(dead_code, reason = "dropped")] Option<Waker>),
    WithAnother,
}

impl Default for TimerQueue {
    fn default() -> Self {
        Self::new()
    }
}
