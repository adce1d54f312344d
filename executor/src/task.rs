//! The header of a task.
//!
//! ```text
//!            1              2
//!   IDLE ────────► QUEUED ──────► POLLING ──────┐
//!    ▲               ▲             │    │ 3     │ 6
//!    │ 4             │ 5           │    ▼       ▼
//!    └───────────────┼─────────────┘  WOKEN   DONE
//!                    └──────────────────┘
//! ```
//! 1. a wake: whoever makes this transition, and nobody else, puts the task on its queue;
//! 2. the consumer took it off the queue and polls it; 3. a wake while it is polled: remembered;
//! 4. the poll found nothing; 5. nor did this one, but it was woken: the poller queues it again;
//! 6. the poll (or the task's end) finished it: every later wake does nothing.
//!
//! A wake in QUEUED, WOKEN or DONE changes nothing: the task will be polled after it anyway, or
//! never again. So a task is on its queue at most once, and no wake is lost.

use core::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, AtomicUsize, Ordering};

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
    /// The header of an idle task.
    #[cfg(not(loom))]
    pub const fn new(vtable: &'static TaskVtable) -> Self {
        Self { state: AtomicUsize::new(IDLE), next: AtomicPtr::new(ptr::null_mut()), vtable }
    }

    /// The header of an idle task.
    #[cfg(loom)]
    pub fn new(vtable: &'static TaskVtable) -> Self {
        Self { state: AtomicUsize::new(IDLE), next: AtomicPtr::new(ptr::null_mut()), vtable }
    }

    pub(crate) fn vtable(&self) -> &'static TaskVtable {
        self.vtable
    }

    /// Wakes the task: from anywhere, any number of times.
    pub fn wake(&self) {
        if self.transition_to_woken() {
            // SAFETY: the header is alive, and this call made the transition to queued.
            unsafe { (self.vtable.schedule)(NonNull::from(self)) };
        }
    }

    /// Transitions 1 and 3; whether the caller must queue the task.
    fn transition_to_woken(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = match state {
                IDLE => QUEUED,
                POLLING => WOKEN,
                // Even where nothing changes, the write that comes before the wake must be seen by
                // the poll that comes after it: hence a compare-exchange with the same value.
                same => same,
            };
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return state == IDLE,
                Err(now) => state = now,
            }
        }
    }

    /// Transition 2: the consumer has taken the task off its queue and is about to poll it. False
    /// when it is done, and must not be polled.
    pub fn start_poll(&self) -> bool {
        let old = self.state.compare_exchange(QUEUED, POLLING, Ordering::AcqRel, Ordering::Acquire);
        debug_assert!(matches!(old, Ok(_) | Err(DONE)), "polled without being queued");
        old.is_ok()
    }

    /// Transitions 4 and 5: the poll found nothing.
    pub fn finish_poll(&self) -> AfterPoll {
        let idle = self.state.compare_exchange(POLLING, IDLE, Ordering::AcqRel, Ordering::Acquire);
        match idle {
            Ok(_) => AfterPoll::Idle,
            // Wakes don't change this state, but they do write it: a plain store would cut off
            // those since the exchange above, and the next poll need not see what they announce.
            // Nor may a task that was ended meanwhile come back to life.
            Err(WOKEN) => {
                match self.state.compare_exchange(
                    WOKEN,
                    QUEUED,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => AfterPoll::Requeue,
                    Err(_) => AfterPoll::Idle,
                }
            }
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
