//! The exact order in which an executor polls.
#![forbid(unsafe_code)]

mod common;

use std::{
    future::poll_fn,
    task::{Poll, Waker},
};

use common::{Trace, WakerPlace, executor, spawn, spawn_noting};
use orbital_executor::yield_now;

#[test]
fn tasks_are_polled_in_the_order_in_which_they_were_spawned() {
    let (executor, trace) = (executor(), Trace::new());
    for name in ["a", "b", "c"] {
        spawn_noting(executor, &trace, name);
    }
    assert_eq!(executor.poll_ready(16), 3);
    assert_eq!(trace.take(), ["a", "b", "c"]);
}

#[test]
fn tasks_are_polled_in_the_order_in_which_they_were_woken() {
    let (executor, trace) = (executor(), Trace::new());
    let [a, b, c] = ["a", "b", "c"].map(|name| spawn_noting(executor, &trace, name));
    executor.poll_ready(16);
    trace.take();
    for place in [&c, &a, &b] {
        place.get().wake();
    }
    executor.poll_ready(16);
    assert_eq!(trace.take(), ["c", "a", "b"]);
}

#[test]
fn a_task_that_is_woken_waits_for_those_that_were_woken_before_it() {
    let (executor, trace) = (executor(), Trace::new());
    let [a, b, c] = ["a", "b", "c"].map(|name| spawn_noting(executor, &trace, name));
    executor.poll_ready(16);
    trace.take();
    a.get().wake();
    b.get().wake();
    // Now `b` is taken off the queue already, and `c` and `a` come on it.
    assert_eq!(executor.poll_ready(1), 1);
    c.get().wake();
    a.get().wake();
    executor.poll_ready(16);
    assert_eq!(trace.take(), ["a", "b", "c", "a"]);
}

#[test]
fn a_task_that_is_woken_often_is_queued_once() {
    let (executor, trace) = (executor(), Trace::new());
    let a = spawn_noting(executor, &trace, "a");
    executor.poll_ready(16);
    trace.take();
    let wakes = executor.wakes();
    for _ in 0..100 {
        a.get().wake();
        a.get().wake_by_ref();
    }
    assert_eq!(executor.wakes() - wakes, 1);
    assert_eq!(executor.poll_ready(16), 1);
    assert!(!executor.has_work());
    assert_eq!(trace.take(), ["a"]);
}

#[test]
fn a_task_that_is_taken_off_the_queue_but_not_polled_yet_is_not_queued_again() {
    let (executor, trace) = (executor(), Trace::new());
    let [a, b] = ["a", "b"].map(|name| spawn_noting(executor, &trace, name));
    executor.poll_ready(16);
    trace.take();
    let wakers = [a.get(), b.get()];
    a.get().wake();
    spawn(
        executor,
        poll_fn(move |_| {
            wakers.iter().for_each(Waker::wake_by_ref);
            Poll::Ready(())
        }),
    );
    b.get().wake();
    // All three are taken together. `a` has had its turn when the wake comes, `b` has not.
    assert_eq!(executor.poll_ready(16), 4);
    assert_eq!(trace.take(), ["a", "b", "a"]);
}

#[test]
fn a_task_that_is_woken_while_it_is_polled_is_polled_once_more() {
    let (executor, trace) = (executor(), Trace::new());
    let noting = trace.clone();
    let mut polls = 0;
    spawn(
        executor,
        poll_fn(move |context| {
            noting.note("woken from within");
            polls += 1;
            if polls == 1 {
                for _ in 0..10 {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Pending
        }),
    );
    spawn_noting(executor, &trace, "other");
    assert_eq!(executor.poll_ready(16), 3);
    assert_eq!(trace.take(), ["woken from within", "other", "woken from within"]);
    assert!(!executor.has_work());
}

#[test]
fn a_task_that_is_woken_while_it_is_polled_for_the_last_time_is_done() {
    let executor = executor();
    spawn(
        executor,
        poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::Ready(())
        }),
    );
    assert_eq!(executor.poll_ready(16), 1);
    assert_eq!((executor.polls(), executor.finished()), (1, 1));
    assert!(!executor.has_work());
}

#[test]
fn no_more_tasks_are_polled_than_the_budget_allows() {
    let (executor, trace) = (executor(), Trace::new());
    for name in ["a", "b", "c", "d", "e"] {
        spawn_noting(executor, &trace, name);
    }
    assert_eq!(executor.poll_ready(0), 0);
    assert_eq!(trace.take(), [""; 0]);
    assert_eq!(executor.poll_ready(2), 2);
    assert_eq!(trace.take(), ["a", "b"]);
    assert!(executor.has_work());
    assert_eq!(executor.poll_ready(2), 2);
    assert_eq!(trace.take(), ["c", "d"]);
    assert_eq!(executor.poll_ready(2), 1, "there was one task left");
    assert_eq!(trace.take(), ["e"]);
    assert!(!executor.has_work());
    assert_eq!(executor.poll_ready(2), 0);
}

#[test]
fn a_task_that_always_yields_does_not_outlast_the_budget() {
    let executor = executor();
    spawn(executor, async {
        loop {
            yield_now().await;
        }
    });
    assert_eq!(executor.poll_ready(1000), 1000);
    assert!(executor.has_work());
}

#[test]
fn a_waker_that_outlives_its_task_does_nothing() {
    let executor = executor();
    let place = WakerPlace::default();
    let shared = place.clone();
    spawn(
        executor,
        poll_fn(move |context| {
            shared.put(context.waker());
            Poll::Ready(())
        }),
    );
    executor.poll_ready(16);
    let counters = (executor.polls(), executor.wakes(), executor.finished());
    let waker = place.get();
    place.clear();
    waker.wake_by_ref();
    let another = waker.clone();
    drop(waker);
    another.wake();
    assert!(!executor.has_work());
    assert_eq!(executor.poll_ready(16), 0);
    assert_eq!((executor.polls(), executor.wakes(), executor.finished()), counters);
}

#[test]
fn a_task_that_is_spawned_by_a_task_comes_after_those_that_wait() {
    let (executor, trace) = (executor(), Trace::new());
    let noting = trace.clone();
    spawn(executor, async move {
        noting.note("parent");
        let child = noting.clone();
        spawn(executor, async move { child.note("child") });
        yield_now().await;
        noting.note("parent");
    });
    spawn_noting(executor, &trace, "other");
    executor.poll_ready(16);
    assert_eq!(trace.take(), ["parent", "other", "child", "parent"]);
}

#[test]
fn yielding_lets_each_other_task_have_one_turn() {
    let (executor, trace) = (executor(), Trace::new());
    for name in ["a", "b"] {
        let trace = trace.clone();
        spawn(executor, async move {
            for _ in 0..3 {
                trace.note(name);
                yield_now().await;
            }
        });
    }
    assert_eq!(executor.poll_ready(16), 8);
    assert_eq!(trace.take(), ["a", "b", "a", "b", "a", "b"]);
    assert_eq!(executor.finished(), 2);
}

#[test]
fn yielding_is_pending_once_and_wakes_once() {
    let mut yielding = common::ByHand::new(yield_now());
    assert_eq!(yielding.poll(), Poll::Pending);
    assert_eq!(yielding.wakes(), 1);
    assert_eq!(yielding.poll(), Poll::Ready(()));
    assert_eq!(yielding.wakes(), 1);
}

#[test]
fn the_counters_tell_polls_and_wakes_and_ends() {
    let (executor, trace) = (executor(), Trace::new());
    let a = spawn_noting(executor, &trace, "a");
    spawn(executor, yield_now());
    executor.poll_ready(16);
    a.get().wake();
    executor.poll_ready(16);
    // Spawning wakes; so does the queueing of a task that was woken while it was polled.
    assert_eq!((executor.polls(), executor.wakes(), executor.finished()), (4, 4, 1));
}
