//! A task's end, by itself or by being cancelled, with wakes that race with it: the future is
//! dropped once, and the task is freed once, by whoever is the last to know it.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use executor_loom::{
    executor::{Executor, Owner, Task, TaskHandle},
    planted::Bug,
};
use loom::thread;

use crate::{
    explore::{Model, RACE, model, with_static},
    watch,
};

/// Gives its waker away, is pending once and then ready. The alignment is [`watch::WATCHED`].
#[repr(align(1024))]
struct Twice {
    polled: bool,
    place: Rc<RefCell<Option<Waker>>>,
    drops: Rc<Cell<usize>>,
}

impl Future for Twice {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.polled, true) {
            return Poll::Ready(());
        }
        self.place.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

/// Spawns the task and polls it once, gives `f` its waker and its handle, and polls until nobody
/// wakes it any more. Then it has to be gone.
fn with_a_task(f: impl Fn(Owner, Waker, TaskHandle)) {
    let (place, drops) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let freed_before = watch::freed();
    let run = |executor: &'static Executor| {
        let owner = executor.claim(0).unwrap();
        let future = Twice { polled: false, place: place.clone(), drops: drops.clone() };
        let task = Box::pin(Task::new(future));
        assert_eq!(align_of_val(&*task), watch::WATCHED);
        let handle = owner.spawn(task);
        assert_eq!(owner.poll_ready(1), 1);
        f(owner, place.take().unwrap(), handle);
        while owner.poll_ready(1) == 1 {}
        assert_eq!(drops.get(), 1, "how often the future was dropped");
        assert_eq!(watch::freed() - freed_before, 1, "how often the task was freed");
        assert_eq!(owner.counters().alive(), 0);
    };
    // SAFETY: the threads are joined, the task is done, and no waker is left.
    unsafe { with_static(Executor::new(), run) };
}

/// One thread wakes twice and drops its waker, while the task is woken and polled to its end.
fn a_task_is_freed_once() {
    with_a_task(|owner, own, handle| {
        drop(handle);
        let other = own.clone();
        let waker = thread::spawn(move || {
            other.wake_by_ref();
            other.wake();
        });
        own.wake();
        // The other one may have the task's state already and not have pushed it yet: then this
        // finds nothing, and the rest comes after the join.
        owner.poll_ready(1);
        owner.poll_ready(1);
        waker.join().unwrap();
    });
}

/// A task is cancelled while it is idle, while it is being queued, or on the queue; its last waker
/// goes meanwhile.
fn a_cancelled_task_is_freed_once() {
    with_a_task(|owner, waker, handle| {
        let waker = thread::spawn(move || {
            waker.wake_by_ref();
            waker.wake();
        });
        assert!(handle.cancel(), "nobody polls it");
        assert!(!handle.cancel(), "it is done");
        drop(handle);
        owner.poll_ready(1);
        waker.join().unwrap();
        owner.poll_ready(1);
        assert_eq!(owner.polls(), 1, "polled after its end");
    });
}

/// A task's priority is changed, twice, while it is woken and polled to its end.
fn a_task_that_becomes_urgent_is_freed_once() {
    with_a_task(|owner, own, handle| {
        let task = handle.to_ref();
        drop(handle);
        let changer = thread::spawn(move || {
            task.set_priority(9);
            task.set_priority(3);
        });
        own.wake();
        assert_eq!(owner.poll_ready(1), 1);
        changer.join().unwrap();
    });
}

/// What was said of a task that waits to be polled is heeded when its owner looks.
fn a_change_of_priority_is_not_lost() {
    with_a_task(|owner, own, handle| {
        let task = handle.to_ref();
        drop(handle);
        own.wake();
        assert_eq!(owner.top(), Some(0));
        let changer = thread::spawn(move || {
            task.set_priority(9);
            task.set_priority(3);
        });
        // Before, between, or after the two.
        assert!([0, 9, 3].map(Some).contains(&owner.top()));
        changer.join().unwrap();
        assert_eq!(owner.top(), Some(3), "the last one counts");
        assert_eq!(owner.poll_ready(1), 1);
    });
}

/// Two raise the priority of a task that waits to be polled: the more urgent wins.
fn the_higher_of_two_raises_wins() {
    with_a_task(|owner, own, handle| {
        let (task, other) = (handle.to_ref(), handle.to_ref());
        drop(handle);
        own.wake();
        assert_eq!(owner.top(), Some(0));
        let raiser = thread::spawn(move || other.raise_priority(3));
        task.raise_priority(9);
        raiser.join().unwrap();
        assert_eq!(owner.top(), Some(9), "the more urgent one counts");
        assert_eq!(owner.poll_ready(1), 1);
    });
}

pub fn models() -> Vec<Model> {
    const FREED: &str = "how often the task was freed";
    [
        model(
            "a wake that races with a task's end: it is freed once",
            a_task_is_freed_once,
            &[(Bug::RetainLate, RACE), (Bug::ReleaseStores, FREED), (Bug::ReleaseRelaxed, RACE)],
        ),
        model(
            "a wake that races with a task's cancelling: it is freed once",
            a_cancelled_task_is_freed_once,
            &[(Bug::CancelReleasesTwice, "used after it was freed"), (Bug::ReleaseStores, FREED)],
        ),
        model(
            "a change of priority that races with a task's end: it is freed once",
            a_task_that_becomes_urgent_is_freed_once,
            &[(Bug::ChangeRetainsLate, FREED)],
        ),
        model(
            "a change of priority that races with the owner's look",
            a_change_of_priority_is_not_lost,
            &[(Bug::ChangeForgotten, "the last one counts")],
        ),
        model(
            "two who raise a task's priority at once",
            the_higher_of_two_raises_wins,
            &[(Bug::RaiseStores, "the more urgent one counts")],
        ),
    ]
    .concat()
}
