//! Tasks of different urgency.
#![forbid(unsafe_code)]

mod common;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    future::poll_fn,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    task::Poll,
};

use common::{Trace, executor};
use orbital_executor::{
    executor::{Executor, Owner, Task, TaskHandle, TaskRef},
    yield_now,
};
use proptest::prelude::*;

fn spawn_at(
    executor: Owner,
    priority: u8,
    future: impl Future<Output = ()> + 'static,
) -> TaskHandle {
    executor.spawn(Box::pin(Task::new(future).with_priority(priority)))
}

/// A task that notes its number whenever it is polled.
fn noting(owner: Owner, priority: u8, number: usize, trace: &Trace<usize>) -> TaskRef {
    let trace = trace.clone();
    let noting = poll_fn(move |_| {
        trace.note(number);
        Poll::Pending
    });
    spawn_at(owner, priority, noting).to_ref()
}

#[test]
fn the_most_urgent_is_polled_first_and_equals_in_their_order() {
    let (owner, trace) = (executor(), Trace::new());
    for (number, priority) in [3, 255, 0, 3, 64, 255].into_iter().enumerate() {
        noting(owner, priority, number, &trace);
    }
    assert_eq!(owner.top(), Some(255));
    assert_eq!(owner.poll_ready(100), 6);
    assert_eq!(trace.take(), [1, 5, 4, 0, 3, 2]);
    assert_eq!(owner.top(), None);
}

#[test]
fn a_task_that_yields_stays_before_the_less_urgent() {
    let (owner, trace) = (executor(), Trace::new());
    for (number, priority) in [(0, 1), (1, 2), (2, 2)] {
        let trace = trace.clone();
        spawn_at(owner, priority, async move {
            for _ in 0..2 {
                trace.note(number);
                yield_now().await;
            }
        });
    }
    while owner.poll_first(0) {}
    assert_eq!(trace.take(), [1, 2, 1, 2, 0, 0]);
}

#[test]
fn only_what_is_urgent_enough_is_polled() {
    let (owner, trace) = (executor(), Trace::new());
    noting(owner, 7, 0, &trace);
    noting(owner, 9, 1, &trace);
    assert!(!owner.poll_first(10) && owner.has_work());
    assert!(owner.poll_first(8) && !owner.poll_first(8));
    assert!(owner.poll_first(7) && !owner.poll_first(0));
    assert_eq!(trace.take(), [1, 0]);
}

#[test]
fn who_comes_later_and_is_more_urgent_overtakes() {
    let (owner, trace) = (executor(), Trace::new());
    noting(owner, 5, 0, &trace);
    noting(owner, 5, 1, &trace);
    assert!(owner.poll_first(0));
    noting(owner, 6, 2, &trace);
    while owner.poll_first(0) {}
    assert_eq!(trace.take(), [0, 2, 1]);
}

#[test]
fn a_task_that_waits_to_be_polled_is_made_more_and_less_urgent() {
    let (owner, trace) = (executor(), Trace::new());
    let tasks = [1, 5, 7].map(|priority| noting(owner, priority, priority.into(), &trace));
    assert_eq!(owner.top(), Some(7));
    tasks[0].set_priority(9);
    tasks[2].set_priority(2);
    assert_eq!(owner.top(), Some(9));
    // Behind its new equal.
    tasks[2].set_priority(5);
    while owner.poll_first(0) {}
    assert_eq!(trace.take(), [1, 5, 7]);
    // One that waits for nothing is not polled because of that, and keeps its priority.
    tasks[0].set_priority(0);
    assert!(!owner.poll_first(0));
    tasks.iter().for_each(TaskRef::wake);
    while owner.poll_first(0) {}
    assert_eq!(trace.take(), [5, 7, 1]);
}

#[test]
fn a_raise_never_lowers() {
    let (owner, trace) = (executor(), Trace::new());
    let tasks = [1, 5, 7].map(|priority| noting(owner, priority, priority.into(), &trace));
    tasks[0].raise_priority(6);
    tasks[1].raise_priority(4);
    tasks[2].raise_priority(0);
    while owner.poll_first(0) {}
    assert_eq!(trace.take(), [7, 1, 5]);
}

#[test]
fn the_owner_is_told_how_urgent_a_task_is() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let tell = |_, urgency| TOLD.store(urgency, SeqCst);
    let executor: &'static Executor = Box::leak(Box::new(Executor::with(Some(tell), None)));
    let owner = executor.claim(0).unwrap();
    for priority in [0, 7, 255] {
        spawn_at(owner, priority, async {});
        assert_eq!(TOLD.load(SeqCst), usize::from(priority) + 1);
    }
}

#[test]
fn a_reference_can_be_used_and_dropped_after_the_end() {
    let owner = executor();
    let task = spawn_at(owner, 3, async {}).to_ref();
    assert!(owner.poll_first(0));
    task.wake();
    task.set_priority(200);
    assert!(!owner.has_work());
    std::thread::spawn(move || drop(task)).join().unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Wake(usize),
    SetPriority(usize, u8),
    Poll(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_usize).prop_map(Step::Wake),
        1 => (0..12_usize, 0..4_u8).prop_map(|(task, priority)| Step::SetPriority(task, priority)),
        4 => (0..4_u8).prop_map(Step::Poll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..<_>::default() })]

    /// Against a sorted set of priority and order.
    #[test]
    fn the_order_is_that_of_the_naive_model(steps in prop::collection::vec(step(), 0..200)) {
        let owner = executor();
        let polled = Rc::new(Cell::new(None));
        let tasks: Vec<_> = (0..12)
            .map(|number| {
                let polled = polled.clone();
                let noting = poll_fn(move |_| {
                    polled.set(Some(number));
                    Poll::Pending
                });
                spawn_at(owner, 0, noting).to_ref()
            })
            .collect();
        while owner.poll_first(0) {}
        let priorities = RefCell::new([0_u8; 12]);
        // Less urgent by how much, order, task.
        let mut queued: BTreeSet<(u8, usize, usize)> = BTreeSet::new();
        for (order, step) in steps.into_iter().enumerate() {
            match step {
                Step::Wake(task) => {
                    tasks[task].wake();
                    if queued.iter().all(|(.., other)| *other != task) {
                        let priority = priorities.borrow()[task];
                        queued.insert((u8::MAX - priority, order, task));
                    }
                    // It is taken off the wake queue here, so its place is decided.
                    prop_assert_eq!(owner.top(), queued.first().map(|first| u8::MAX - first.0));
                }
                Step::SetPriority(task, priority) => {
                    tasks[task].set_priority(priority);
                    let before = std::mem::replace(&mut priorities.borrow_mut()[task], priority);
                    let is_queued = queued.iter().any(|(.., other)| *other == task);
                    if is_queued && before != priority {
                        queued.retain(|(.., other)| *other != task);
                        queued.insert((u8::MAX - priority, order, task));
                    }
                    prop_assert_eq!(owner.top(), queued.first().map(|first| u8::MAX - first.0));
                }
                Step::Poll(least) => {
                    polled.set(None);
                    let expected = queued.first().copied().filter(|first| first.0 <= u8::MAX - least);
                    prop_assert_eq!(owner.poll_first(least), expected.is_some());
                    prop_assert_eq!(polled.get(), expected.map(|(.., task)| task));
                    if let Some(first) = expected {
                        queued.remove(&first);
                    }
                }
            }
        }
    }
}
