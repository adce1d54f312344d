//! The header of a task.
//!
//! ```text
//!            1              2             3
//!   IDLE ────────► QUEUED ──────► POLLING ──────► WOKEN
//!    ▲ │             ▲ │           │   │           │ │
//!    │ │           5 │ └────┐ 7    │   │ 6       6 │ │
//!    │ │ 7           │      ▼      │   ▼           │ │
//!    │ └─────────────┼───► DONE ◄──┼───────────────┘ │
//!    │               └─────────────┼─────────────────┘
//!    └─────────────────────────────┘ 4, back: 8
//! ```
//! 1. a wake: whoever makes this transition, and nobody else, puts the task on its queue;
//! 2. the consumer took it off the queue and polls it;
//! 3. a wake while it is polled: remembered;
//! 4. the poll found nothing;
//! 5. nor did this one, but it was woken: the poller queues it again;
//! 6. the poll (or the task's end, which may come from anywhere) finished it;
//! 7. it was cancelled while nobody polled it. One that stands on its queue goes on standing there:
//!    the consumer takes it off, and transition 2 is refused;
//! 8. its poller goes on with it at once, without a wake: it stood on no queue.
//!
//! A wake in QUEUED, WOKEN or DONE changes nothing: the task will be polled after it anyway, or
//! never again. So a task is on its queue at most once, and no wake is lost.

use core::ptr::{self, NonNull};

#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::sync::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom};

const IDLE: usize = 0;
const QUEUED: usize = 1;
const POLLING: usize = 2;
const WOKEN: usize = 3;
const DONE: usize = 4;

/// What tasks of one kind do when they are woken, and how their references are counted.
pub struct TaskVtable {
    /// Puts the task on its queue. Called once for each transition from idle to queued, from
    /// wherever the wake came; it takes no memory and does not wait.
    pub schedule: unsafe fn(NonNull<TaskHeader>),
    /// One more waker points to the task.
    pub retain: unsafe fn(NonNull<TaskHeader>),
    /// One less.
    pub release: unsafe fn(NonNull<TaskHeader>),
}

/// The part of a task that wakers point to.
///
/// A pointer to it stands for the whole task: wherever one is asked for or handed out, it may be
/// used for all of the memory that the header is a part of. So it has to be made from a pointer to
/// the task, and not from a reference to the header.
pub struct TaskHeader {
    state: AtomicUsize,
    /// The next task on the wake queue; the queue's while the task is queued.
    pub(crate) next: AtomicPtr<TaskHeader>,
    vtable: &'static TaskVtable,
}

/// What a poll that found nothing demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum AfterPoll {
    /// Nothing: the task is idle.
    Idle,
    /// It was woken meanwhile and counts as queued again: put it on its queue.
    Requeue,
}

impl TaskHeader {
    const_unless_loom! {
        /// The header of an idle task.
        ///
        /// # Safety
        /// Where it is woken, or wakers are made for it, it is the part of a task that the
        /// functions in `vtable` are meant for.
        pub unsafe fn new(vtable: &'static TaskVtable) -> Self {
            Self { state: AtomicUsize::new(IDLE), next: AtomicPtr::new(ptr::null_mut()), vtable }
        }
    }

    pub(crate) fn vtable(&self) -> &'static TaskVtable {
        self.vtable
    }

    /// Wakes the task: from anywhere, any number of times.
    ///
    /// # Safety
    /// `task` may be used for the whole task, which lives until this call has queued it, or else
    /// until this call returns.
    pub unsafe fn wake(task: NonNull<Self>) {
        // SAFETY: the task is alive.
        let header = unsafe { task.as_ref() };
        if header.transition_to_woken() {
            // SAFETY: the pointer is good for the whole task, and this call made the transition to
            // queued.
            unsafe { (header.vtable.schedule)(task) };
        }
    }

    /// Transitions 1 and 3; whether the caller must queue the task.
    fn transition_to_woken(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = match state {
                IDLE => QUEUED,
                #[cfg(loom)]
                POLLING if planted(Bug::WakeForgotten) => POLLING,
                POLLING => WOKEN,
                #[cfg(loom)]
                DONE if planted(Bug::WakeRevives) => IDLE,
                #[cfg(loom)]
                _ if planted(Bug::WakeOnlyReads) => return false,
                // Even where nothing changes, the write that comes before the wake must be seen by
                // the poll that comes after it: hence a compare-exchange with the same value.
                same => same,
            };
            #[cfg(loom)]
            if planted(Bug::WakeStores) {
                self.state.store(next, Ordering::Release);
                return state == IDLE;
            }
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return state == IDLE,
                Err(now) => state = now,
            }
        }
    }

    fn exchange(&self, from: usize, to: usize) -> Result<usize, usize> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Transition 2: the consumer has taken the task off its queue and is about to poll it. False
    /// when it is done, and must not be polled.
    pub fn start_poll(&self) -> bool {
        #[cfg(loom)]
        if planted(Bug::RequeueStores) {
            // Loom does not know that a store can't come between an exchange and what it has read.
            // It must find the bug without the states that it believes possible because of that.
            return self.state.swap(POLLING, Ordering::AcqRel) != DONE;
        }
        let old = self.exchange(QUEUED, POLLING);
        debug_assert!(matches!(old, Ok(_) | Err(DONE)), "polled without being queued");
        old.is_ok()
    }

    /// Transition 8: whoever polls this task, and knows by other means that it can go on, does so without a
    /// wake. False when it has been woken, and stands on its queue, or is done.
    #[must_use]
    pub fn start_unwoken(&self) -> bool {
        #[cfg(loom)]
        if planted(Bug::UnwokenBlind)
            || planted(Bug::UnwokenStores) && self.state.load(Ordering::Acquire) == IDLE
        {
            self.state.store(POLLING, Ordering::Release);
            return true;
        }
        #[cfg(loom)]
        if planted(Bug::UnwokenRelaxed) {
            let (order, none) = (Ordering::Relaxed, Ordering::Relaxed);
            return self.state.compare_exchange(IDLE, POLLING, order, none).is_ok();
        }
        self.exchange(IDLE, POLLING).is_ok()
    }

    /// Transition 4: the poll found nothing. False when the task was woken meanwhile, or ended: then nothing has
    /// changed, and [`TaskHeader::finish_poll`] has to follow.
    #[inline]
    #[must_use]
    pub fn finish_unwoken_poll(&self) -> bool {
        #[cfg(loom)]
        if planted(Bug::PollEndBlind)
            || planted(Bug::PollEndStores) && self.state.load(Ordering::Acquire) == POLLING
        {
            self.state.store(IDLE, Ordering::Release);
            return true;
        }
        self.exchange(POLLING, IDLE).is_ok()
    }

    /// Transitions 4 and 5: the poll found nothing.
    pub fn finish_poll(&self) -> AfterPoll {
        if self.finish_unwoken_poll() {
            return AfterPoll::Idle;
        }
        #[cfg(loom)]
        if planted(Bug::RequeueStores) && self.state.load(Ordering::Acquire) == WOKEN {
            self.state.store(QUEUED, Ordering::Release);
            return AfterPoll::Requeue;
        }
        // Wakes don't change this state, but they do write it: a plain store would cut off
        // those since the exchange above, and the next poll need not see what they announce.
        // Nor may a task that was ended meanwhile come back to life.
        match self.exchange(WOKEN, QUEUED) {
            Ok(_) => AfterPoll::Requeue,
            // A task that is done while its own poll returns "pending": it was ended from within.
            Err(_) => AfterPoll::Idle,
        }
    }

    /// Transition 6, from any state.
    pub fn complete(&self) {
        // An exchange, as wherever the state changes. A store would do, but loom does not know that
        // none comes between an exchange and what it has read: it would see tasks come to life.
        self.state.swap(DONE, Ordering::AcqRel);
    }

    /// Transition 7. True when this call ended the task, which nobody polls then, now or later.
    /// False when it is being polled, or was done already.
    pub fn cancel(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while matches!(state, IDLE | QUEUED) {
            #[cfg(loom)]
            if planted(Bug::CancelStores) {
                self.state.store(DONE, Ordering::Release);
                return true;
            }
            match self.exchange(state, DONE) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Whether it is done.
    pub fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }
}

impl core::fmt::Debug for TaskHeader {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self.state.load(Ordering::Relaxed) {
            IDLE => "idle",
            QUEUED => "queued",
            POLLING => "polling",
            WOKEN => "woken while polling",
            _ => "done",
        })
    }
}
