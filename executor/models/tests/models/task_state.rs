//! The state word of a task: wakes that race with polls and with the end. What carries the data here
//! is the state word alone, with the queue of the tasks that were idle.

use std::ptr::NonNull;

use executor_loom::{
    planted::Bug,
    task::{AfterPoll, TaskHeader, TaskVtable},
};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::explore::{Model, RACE, model};

/// A task with a queue of its own.
#[repr(C)]
struct Shared {
    header: TaskHeader,
    queued: AtomicUsize,
    /// What the wakers announce.
    events: [AtomicUsize; 2],
    /// What only who polls may touch, or who has cancelled the task.
    future: UnsafeCell<usize>,
}

// SAFETY: loom reports accesses to the future that the state word does not order.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

fn schedule(task: NonNull<TaskHeader>) {
    // SAFETY: every header with this vtable starts a `Shared`, and its model keeps it.
    unsafe { task.cast::<Shared>().as_ref() }.put();
}

static VTABLE: TaskVtable =
    TaskVtable { schedule: |task| schedule(task), retain: |_| (), release: |_| () };

impl Shared {
    /// An idle task.
    fn new(events: [usize; 2]) -> Arc<Self> {
        Arc::new(Self {
            // SAFETY: it starts a `Shared`.
            header: unsafe { TaskHeader::new(&VTABLE) },
            queued: AtomicUsize::new(0),
            events: events.map(AtomicUsize::new),
            future: UnsafeCell::new(0),
        })
    }

    fn wake(&self) {
        // SAFETY: the pointer is for all of it, and it lives.
        unsafe { TaskHeader::wake(NonNull::from(self).cast()) };
    }

    fn announce(&self, number: usize) {
        self.events[number].store(1, Ordering::Relaxed);
        self.wake();
    }

    fn put(&self) {
        assert_eq!(self.queued.swap(1, Ordering::Release), 0, "queued twice");
    }

    /// Whether it was queued and may be polled.
    fn start_poll(&self) -> bool {
        self.queued.swap(0, Ordering::Acquire) == 1 && self.header.start_poll()
    }

    fn finish_poll(&self) {
        if self.header.finish_poll() == AfterPoll::Requeue {
            self.put();
        }
    }

    /// A poll, if the task is queued; whether the task has now seen all events.
    fn poll(&self) -> bool {
        self.start_poll() && self.go_on()
    }

    /// A poll, if the task is idle; whether the task has now seen all events.
    fn poll_unwoken(&self) -> bool {
        self.header.start_unwoken() && self.go_on()
    }

    /// A poll of the future, if the task is idle; whether it is.
    fn touch_unwoken(&self) -> bool {
        let is_started = self.header.start_unwoken();
        if is_started {
            // SAFETY: the state word says so; if it is wrong, loom tells.
            self.future.with_mut(|future| unsafe { *future += 1 });
            self.finish_poll();
        }
        is_started
    }

    /// The rest of a poll that has begun.
    fn go_on(&self) -> bool {
        // Nothing but the state word orders these reads.
        if self.events.iter().all(|event| event.load(Ordering::Relaxed) == 1) {
            self.header.complete();
            return true;
        }
        self.finish_poll();
        false
    }
}

/// Two wakers against the poller: whatever it has not seen, it will be polled for.
fn no_wake_is_lost() {
    let shared = Shared::new([0, 0]);
    // As after the spawning.
    shared.wake();
    let wakers = [0, 1].map(|number| {
        let shared = shared.clone();
        thread::spawn(move || shared.announce(number))
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
    shared.wake();
    assert!(!shared.poll(), "polled after its end");
}

/// A waker against a poller that does not wait for it: the task stands on its queue or is polled, never both, and
/// whatever it has not seen, it will be polled for.
fn a_wake_that_races_with_a_start_without_one_is_not_lost() {
    let shared = Shared::new([0, 1]);
    let waker = thread::spawn({
        let shared = shared.clone();
        move || shared.announce(0)
    });
    let mut done = shared.poll_unwoken();
    done = done || shared.poll();
    waker.join().unwrap();
    done = done || shared.poll();
    assert!(done, "a wake is lost");
    assert!(!shared.poll_unwoken(), "polled after its end");
    assert_eq!(shared.queued.load(Ordering::Relaxed), 0, "it stands on its queue for nothing");
}

/// Two who both start it without a wake, one after the other or at once.
fn who_starts_a_task_without_a_wake_has_it_alone() {
    let shared = Shared::new([0, 0]);
    let other = thread::spawn({
        let shared = shared.clone();
        move || shared.touch_unwoken()
    });
    shared.touch_unwoken();
    other.join().unwrap();
    assert!(shared.touch_unwoken(), "nobody has it any more");
}

/// An idle task is woken by two at once: while one has made it queued and not put it on the queue
/// yet, the other one comes.
fn a_task_that_is_being_queued_is_queued_once() {
    let shared = Shared::new([0, 0]);
    let other = thread::spawn({
        let shared = shared.clone();
        move || shared.announce(0)
    });
    shared.announce(1);
    let mut done = shared.poll();
    other.join().unwrap();
    done = done || shared.poll();
    assert!(done, "a wake is lost");
    assert_eq!(shared.queued.load(Ordering::Relaxed), 0, "queued twice");
}

/// A waker against a poll that ends the task.
fn a_done_task_stays_done() {
    let shared = Shared::new([1, 1]);
    shared.wake();
    let waker = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.wake();
            shared.wake();
        }
    });
    assert!(shared.poll());
    assert!(!shared.poll());
    waker.join().unwrap();
    assert!(!shared.poll(), "polled after its end");
    assert!(shared.header.is_done(), "it came back to life");
}

/// The task is ended from elsewhere while its poll, during which it is woken, finds nothing.
fn a_task_that_is_ended_during_its_poll_stays_done() {
    let shared = Shared::new([0, 0]);
    shared.wake();
    let ender = thread::spawn({
        let shared = shared.clone();
        move || {
            shared.wake();
            shared.header.complete();
        }
    });
    shared.poll();
    ender.join().unwrap();
    assert!(shared.header.is_done(), "it came back to life");
    assert!(!shared.header.start_poll());
}

/// A task is cancelled while it is idle, queued, polled, or woken while it is polled: who cancels
/// has it alone, or is refused.
fn a_cancelled_task_is_nobody_elses() {
    let shared = Shared::new([0, 0]);
    shared.wake();
    let [poller, waker] = [0, 1].map(|number| {
        let shared = shared.clone();
        thread::spawn(move || {
            if number == 1 {
                return shared.wake();
            }
            if shared.start_poll() {
                // SAFETY: the state word says so; if it is wrong, loom tells.
                shared.future.with_mut(|future| unsafe { *future += 1 });
                shared.finish_poll();
            }
        })
    });
    let cancelled = shared.header.cancel();
    if cancelled {
        // SAFETY: as above.
        shared.future.with_mut(|future| unsafe { *future += 1 });
    }
    poller.join().unwrap();
    waker.join().unwrap();
    assert_eq!(shared.header.is_done(), cancelled, "it came back to life");
    assert!(!cancelled || !shared.poll(), "polled after its end");
}

pub fn models() -> Vec<Model> {
    const LOST: &str = "a wake is lost";
    const REVIVED: &str = "it came back to life";
    [
        model(
            "a wake that races with a poll's end is not lost",
            no_wake_is_lost,
            &[
                (Bug::WakeStores, LOST),
                (Bug::PollEndStores, LOST),
                (Bug::WakeOnlyReads, LOST),
                (Bug::RequeueStores, LOST),
                (Bug::WakeForgotten, LOST),
                (Bug::PollEndBlind, LOST),
            ],
        ),
        model(
            "a wake that races with a start without one is not lost",
            a_wake_that_races_with_a_start_without_one_is_not_lost,
            &[
                (Bug::UnwokenStores, "polled without being queued"),
                (Bug::UnwokenBlind, "polled after its end"),
                (Bug::WakeForgotten, LOST),
                (Bug::PollEndBlind, LOST),
            ],
        ),
        model(
            "who starts a task without a wake has it alone",
            who_starts_a_task_without_a_wake_has_it_alone,
            &[(Bug::UnwokenStores, RACE), (Bug::UnwokenRelaxed, RACE), (Bug::UnwokenBlind, RACE)],
        ),
        model(
            "a task that is woken while it is being queued is queued once",
            a_task_that_is_being_queued_is_queued_once,
            &[(Bug::WakeStores, "polled without being queued"), (Bug::WakeOnlyReads, LOST)],
        ),
        model(
            "wakes of a task that ends do nothing",
            a_done_task_stays_done,
            &[(Bug::WakeStores, REVIVED), (Bug::WakeRevives, "polled after its end")],
        ),
        model(
            "a task that is ended during its poll stays done",
            a_task_that_is_ended_during_its_poll_stays_done,
            &[(Bug::RequeueStores, REVIVED)],
        ),
        model(
            "a task that is cancelled in any state is nobody else's",
            a_cancelled_task_is_nobody_elses,
            &[(Bug::CancelStores, RACE)],
        ),
    ]
    .concat()
}
