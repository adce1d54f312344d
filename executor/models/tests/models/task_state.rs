//! The state word of a task: wakes that race with the end of a poll. What carries the data here is
//! the state word alone, with the queue of the tasks that were idle.

use std::ptr::NonNull;

use executor_loom::task::{AfterPoll, TaskHeader, TaskVtable};
use loom::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::explore::Model;

/// A queue for one task.
struct Queued(AtomicUsize);

impl Queued {
    fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn put(&self) {
        assert_eq!(self.0.swap(1, Ordering::Release), 0, "queued twice");
    }

    fn take(&self) -> bool {
        self.0.swap(0, Ordering::Acquire) == 1
    }
}

/// The real task header and its copies.
trait Task: Send + Sync + 'static {
    fn new() -> Self;
    fn queued(&self) -> &Queued;
    fn wake(&self);
    fn start_poll(&self) -> bool;
    /// Whether it has to be queued.
    fn finish_poll(&self) -> bool;
    fn complete(&self);
    fn is_done(&self) -> bool;
}

#[repr(C)]
struct Real {
    header: TaskHeader,
    queued: Queued,
}

fn schedule(task: NonNull<TaskHeader>) {
    // SAFETY: every header with this vtable starts a `Real`, and its model keeps it.
    unsafe { task.cast::<Real>().as_ref() }.queued.put();
}

static VTABLE: TaskVtable =
    TaskVtable { schedule: |task| schedule(task), retain: |_| (), release: |_| () };

impl Task for Real {
    fn new() -> Self {
        Self { header: TaskHeader::new(&VTABLE), queued: Queued::new() }
    }

    fn queued(&self) -> &Queued {
        &self.queued
    }

    fn wake(&self) {
        self.header.wake();
    }

    fn start_poll(&self) -> bool {
        self.header.start_poll()
    }

    fn finish_poll(&self) -> bool {
        self.header.finish_poll() == AfterPoll::Requeue
    }

    fn complete(&self) {
        self.header.complete();
    }

    fn is_done(&self) -> bool {
        self.header.is_done()
    }
}

const IDLE: usize = 0;
const QUEUED: usize = 1;
const POLLING: usize = 2;
const WOKEN: usize = 3;
const DONE: usize = 4;

/// A copy of the state word.
struct Copy<const BUG: u8> {
    state: AtomicUsize,
    queued: Queued,
}

const NO_BUG: u8 = 0;
/// A wake reads the state and then stores the next one.
const WAKE_STORES: u8 = 1;
/// The end of a poll reads the state and then stores the next one.
const FINISH_STORES: u8 = 2;
/// A wake that changes nothing does not write.
const WAKE_ONLY_READS: u8 = 3;
/// The end of a poll that was woken stores the next state, which cuts off the wakes before it.
const REQUEUE_STORES: u8 = 4;
/// A wake while the task is polled is not remembered.
const FORGETS_WHILE_POLLING: u8 = 5;
/// The end of a poll does not look at the state at all.
const ALWAYS_IDLE: u8 = 6;

impl<const BUG: u8> Copy<BUG> {
    fn exchange(&self, from: usize, to: usize) -> Result<usize, usize> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
    }
}

impl<const BUG: u8> Task for Copy<BUG> {
    fn new() -> Self {
        Self { state: AtomicUsize::new(IDLE), queued: Queued::new() }
    }

    fn queued(&self) -> &Queued {
        &self.queued
    }

    fn wake(&self) {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let next = match state {
                IDLE => QUEUED,
                POLLING if BUG == FORGETS_WHILE_POLLING => POLLING,
                POLLING => WOKEN,
                _ if BUG == WAKE_ONLY_READS => return,
                same => same,
            };
            if BUG == WAKE_STORES {
                self.state.store(next, Ordering::Release);
                break;
            }
            match self.exchange(state, next) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        if state == IDLE {
            self.queued.put();
        }
    }

    fn start_poll(&self) -> bool {
        if BUG == REQUEUE_STORES {
            // Loom does not know that a store can't come between an exchange and what it has read.
            // It must find the bug without the states that it believes possible because of that.
            return self.state.swap(POLLING, Ordering::AcqRel) != DONE;
        }
        self.exchange(QUEUED, POLLING).is_ok()
    }

    fn finish_poll(&self) -> bool {
        if BUG == ALWAYS_IDLE {
            self.state.store(IDLE, Ordering::Release);
            return false;
        }
        if BUG == FINISH_STORES && self.state.load(Ordering::Acquire) == POLLING {
            self.state.store(IDLE, Ordering::Release);
            return false;
        }
        match self.exchange(POLLING, IDLE) {
            Err(WOKEN) if BUG == REQUEUE_STORES => {
                self.state.store(QUEUED, Ordering::Release);
                true
            }
            Err(WOKEN) => self.exchange(WOKEN, QUEUED).is_ok(),
            _ => false,
        }
    }

    fn complete(&self) {
        self.state.swap(DONE, Ordering::AcqRel);
    }

    fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }
}

struct Shared<T> {
    task: T,
    /// What the wakers announce.
    events: [AtomicUsize; 2],
}

impl<T: Task> Shared<T> {
    /// A poll, if the task is queued; whether the task has now seen all events.
    fn poll(&self) -> bool {
        if !self.task.queued().take() || !self.task.start_poll() {
            return false;
        }
        // Nothing but the state word orders these reads.
        if self.events.iter().all(|event| event.load(Ordering::Relaxed) == 1) {
            self.task.complete();
            return true;
        }
        if self.task.finish_poll() {
            self.task.queued().put();
        }
        false
    }
}

/// Two wakers against the poller: whatever it has not seen, it will be polled for.
fn no_wake_is_lost<T: Task>() {
    let shared =
        Arc::new(Shared { task: T::new(), events: std::array::from_fn(|_| AtomicUsize::new(0)) });
    // As after the spawning.
    shared.task.wake();
    let wakers = [0, 1].map(|number| {
        let shared = shared.clone();
        thread::spawn(move || {
            shared.events[number].store(1, Ordering::Relaxed);
            shared.task.wake();
        })
    });
    let mut done = false;
    for _ in 0..2 {
        done = done || shared.poll();
    }
    for waker in wakers {
        waker.join().unwrap();
    }
    // A task that has been woken after its last look is queued. At most two polls are owed: one
    // that is queued, and one for a wake during a poll, of which there is none any more.
    done = done || shared.poll();
    assert!(done, "a wake is lost");
    shared.task.wake();
    assert!(!shared.poll(), "polled after its end");
}

/// A waker against a poll that ends the task.
fn a_done_task_stays_done<T: Task>() {
    let shared =
        Arc::new(Shared { task: T::new(), events: [AtomicUsize::new(1), AtomicUsize::new(1)] });
    shared.task.wake();
    let waker = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.task.wake();
            shared.task.wake();
        }
    });
    assert!(shared.poll());
    assert!(!shared.poll());
    waker.join().unwrap();
    assert!(!shared.poll(), "polled after its end");
    assert!(shared.task.is_done(), "it came back to life");
}

/// The task is ended from elsewhere while its poll, during which it is woken, finds nothing.
fn a_task_that_is_ended_during_its_poll_stays_done<T: Task>() {
    let shared =
        Arc::new(Shared { task: T::new(), events: [AtomicUsize::new(0), AtomicUsize::new(0)] });
    shared.task.wake();
    let ender = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.task.wake();
            shared.task.complete();
        }
    });
    shared.poll();
    ender.join().unwrap();
    assert!(shared.task.is_done(), "it came back to life");
    assert!(!shared.task.start_poll());
}

pub fn models() -> Vec<Model> {
    const LOST: &str = "a wake is lost";
    const REVIVED: &str = "it came back to life";
    vec![
        Model::holds("a wake that races with a poll's end is not lost", no_wake_is_lost::<Real>),
        Model::holds("the copy of the state word without a bug", no_wake_is_lost::<Copy<NO_BUG>>),
        Model::planted("a wake that stores", LOST, no_wake_is_lost::<Copy<WAKE_STORES>>),
        Model::planted("a poll's end that stores", LOST, no_wake_is_lost::<Copy<FINISH_STORES>>),
        Model::planted("a wake that only reads", LOST, no_wake_is_lost::<Copy<WAKE_ONLY_READS>>),
        Model::planted(
            "a woken poll's end that stores",
            LOST,
            no_wake_is_lost::<Copy<REQUEUE_STORES>>,
        ),
        Model::planted(
            "a wake during a poll that is forgotten",
            LOST,
            no_wake_is_lost::<Copy<FORGETS_WHILE_POLLING>>,
        ),
        Model::planted(
            "a poll's end that overlooks wakes",
            LOST,
            no_wake_is_lost::<Copy<ALWAYS_IDLE>>,
        ),
        Model::holds("wakes of a task that ends do nothing", a_done_task_stays_done::<Real>),
        Model::planted(
            "a wake that stores over the task's end",
            REVIVED,
            a_done_task_stays_done::<Copy<WAKE_STORES>>,
        ),
        Model::holds(
            "a task that is ended during its poll stays done",
            a_task_that_is_ended_during_its_poll_stays_done::<Real>,
        ),
        Model::planted(
            "a woken poll's end that stores over the task's end",
            REVIVED,
            a_task_that_is_ended_during_its_poll_stays_done::<Copy<REQUEUE_STORES>>,
        ),
    ]
}
