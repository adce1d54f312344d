//! Timers, step by step.
#![forbid(unsafe_code)]

mod common;

use std::{
    pin::pin,
    task::{
        Poll::{Pending, Ready},
        Waker,
    },
};

use common::{ByHand, Trace, executor, spawn};
use orbital_executor::{
    timer::{Armed, BATCH, Elapsed, NEVER, TimerNode, TimerQueue, timeout_at},
    yield_now,
};

#[test]
fn a_sleeper_is_woken_at_its_deadline_and_not_before() {
    let timers = TimerQueue::new();
    let mut sleep = ByHand::new(timers.sleep_until(100));
    assert_eq!(timers.next_deadline(), NEVER, "it has not been polled");
    assert_eq!(sleep.poll(), Pending);
    assert_eq!(timers.next_deadline(), 100);
    assert_eq!(timers.fire(99), 0);
    assert_eq!(sleep.poll(), Pending);
    assert_eq!(sleep.wakes(), 0);
    assert_eq!(timers.fire(100), 1);
    assert_eq!((sleep.wakes(), timers.next_deadline()), (1, NEVER));
    assert_eq!(timers.fire(1000), 0, "a timer fires once");
    assert_eq!(sleep.poll(), Ready(()));
    assert_eq!(sleep.poll(), Ready(()), "it stays over");
}

#[test]
fn a_deadline_that_is_past_is_not_queued() {
    let timers = TimerQueue::new();
    timers.fire(50);
    for deadline in [0, 49, 50] {
        let mut sleep = ByHand::new(timers.sleep_until(deadline));
        assert_eq!(sleep.poll(), Ready(()));
        assert_eq!((timers.next_deadline(), sleep.wakers()), (NEVER, 0));
    }
}

#[test]
fn never_is_never_queued_and_never_over() {
    let timers = TimerQueue::new();
    let mut sleep = ByHand::new(timers.sleep_until(NEVER));
    for _ in 0..3 {
        assert_eq!(sleep.poll(), Pending);
        assert_eq!(timers.next_deadline(), NEVER);
        assert_eq!(timers.fire(NEVER - 1), 0);
    }
    assert_eq!((sleep.wakes(), sleep.wakers()), (0, 0));
    let mut last = ByHand::new(timers.sleep_until(NEVER - 1));
    assert_eq!(last.poll(), Ready(()), "the last instant that there is has come");
}

#[test]
fn time_does_not_go_back() {
    let timers = TimerQueue::new();
    timers.fire(50);
    timers.fire(20);
    assert_eq!(timers.now(), 50);
}

#[test]
fn a_timer_is_added_once_however_often_it_is_polled() {
    let (timers, trace) = (TimerQueue::new(), Trace::new());
    let mut first = ByHand::new(timers.sleep_until(10));
    let mut second = ByHand::new(timers.sleep_until(10));
    assert_eq!((first.poll(), second.poll()), (Pending, Pending));
    // Added again it would come behind the second one.
    for _ in 0..100 {
        assert_eq!(first.poll(), Pending);
    }
    assert_eq!(first.wakers(), 1, "one waker at a time");
    let both = futures_util::future::join(
        async {
            (&mut first.future).await;
            trace.note("first");
        },
        async {
            (&mut second.future).await;
            trace.note("second");
        },
    );
    let mut both = ByHand::new(both);
    assert_eq!(both.poll(), Pending);
    assert_eq!(timers.fire(10), 2);
    assert_eq!(both.poll(), Ready(((), ())));
    assert_eq!(trace.take(), ["first", "second"]);
}

#[test]
fn tasks_wake_by_their_deadlines_and_equal_ones_in_the_order_of_coming() {
    let (executor, trace) = (executor(), Trace::new());
    let timers: &TimerQueue = Box::leak(Box::default());
    for (name, deadline) in [("a", 30), ("b", 10), ("c", 20), ("d", 10), ("e", 30), ("f", 10)] {
        let trace = trace.clone();
        spawn(executor, async move {
            timers.sleep_until(deadline).await;
            trace.note(name);
        });
    }
    while executor.poll_ready(16) > 0 {}
    assert_eq!(timers.fire(20), 4);
    while executor.poll_ready(16) > 0 {}
    assert_eq!(trace.take(), ["b", "d", "f", "c"]);
    assert_eq!(timers.next_deadline(), 30);
    assert_eq!(timers.fire(30), 2);
    while executor.poll_ready(16) > 0 {}
    assert_eq!(trace.take(), ["a", "e"]);
}

#[test]
fn who_sleeps_again_at_once_does_not_keep_the_firing_busy() {
    let (executor, trace) = (executor(), Trace::new());
    let timers: &TimerQueue = Box::leak(Box::default());
    for name in ["a", "b"] {
        let trace = trace.clone();
        spawn(executor, async move {
            for turn in 1..=3 {
                timers.sleep_until(turn * 10).await;
                trace.note((name, timers.now()));
            }
        });
    }
    while executor.poll_ready(16) > 0 {}
    // The clock was not looked at for some time: the first two deadlines are found to be past.
    assert_eq!(timers.fire(25), 2);
    while executor.poll_ready(16) > 0 {}
    assert_eq!(trace.take(), [("a", 25), ("a", 25), ("b", 25), ("b", 25)]);
    assert_eq!(timers.next_deadline(), 30);
    timers.fire(30);
    while executor.poll_ready(16) > 0 {}
    assert_eq!(trace.take(), [("a", 30), ("b", 30)]);
}

#[test]
fn firing_goes_in_batches() {
    let timers = TimerQueue::new();
    let count = 2 * BATCH + 3;
    let mut sleepers: Vec<_> = (0..count).map(|_| ByHand::new(timers.sleep_until(5))).collect();
    assert!(sleepers.iter_mut().all(|sleeper| sleeper.poll() == Pending));
    let woken = |sleepers: &[ByHand<_>]| sleepers.iter().filter(|one| one.wakes() == 1).count();
    assert_eq!(timers.fire_batch(5), BATCH);
    assert_eq!(woken(&sleepers), BATCH);
    assert_eq!(timers.next_deadline(), 5, "there are more");
    assert_eq!(sleepers[count - 1].poll(), Ready(()), "it is due, though it was not its turn yet");
    assert_eq!(timers.fire(5), BATCH + 2);
    assert_eq!(woken(&sleepers), count - 1);
    assert_eq!((timers.fire_batch(5), timers.next_deadline()), (0, NEVER));
}

#[test]
fn a_sleeper_that_is_dropped_unlinks() {
    let timers = TimerQueue::new();
    let mut sleepers: Vec<_> =
        [10, 20, 30].map(|deadline| ByHand::new(timers.sleep_until(deadline))).into();
    assert!(sleepers.iter_mut().all(|sleeper| sleeper.poll() == Pending));
    drop(sleepers.remove(1));
    drop(sleepers.remove(0));
    assert_eq!(timers.next_deadline(), 30);
    assert_eq!(timers.fire(100), 1);
    drop(sleepers);
    assert_eq!(timers.fire(200), 0);
}

#[test]
fn a_sleeper_that_is_reset_waits_for_the_new_deadline_without_a_poll() {
    let timers = TimerQueue::new();
    let mut sleep = ByHand::new(timers.sleep_until(10));
    assert_eq!(sleep.poll(), Pending);
    sleep.future.as_mut().reset(40);
    assert_eq!(timers.next_deadline(), 40);
    assert_eq!(timers.fire(20), 0);
    sleep.future.as_mut().reset(30);
    assert_eq!(timers.fire(30), 1);
    assert_eq!((sleep.wakes(), sleep.poll()), (1, Ready(())));
    sleep.future.as_mut().reset(50);
    assert_eq!(timers.next_deadline(), NEVER, "it is over, and has to be polled again");
    assert_eq!(sleep.poll(), Pending);
    sleep.future.as_mut().reset(25);
    assert_eq!((sleep.wakes(), sleep.poll()), (2, Ready(())), "past already: woken at once");
    sleep.future.as_mut().reset(60);
    assert_eq!(sleep.poll(), Pending);
    sleep.future.as_mut().reset(NEVER);
    assert_eq!((timers.next_deadline(), sleep.wakers()), (NEVER, 0));
    assert_eq!(sleep.poll(), Pending);
}

#[test]
fn a_sleeper_that_is_polled_by_another_task_wakes_that_one() {
    let timers = TimerQueue::new();
    let mut sleep = pin!(timers.sleep_until(10));
    let mut first = ByHand::new(std::future::poll_fn(|context| sleep.as_mut().poll(context)));
    assert_eq!(first.poll(), Pending);
    let (wakes, wakers) = (first.wakes(), first.wakers());
    assert_eq!((wakes, wakers), (0, 1));
    let counter = first.counter();
    drop(first);
    let mut second = ByHand::new(std::future::poll_fn(|context| sleep.as_mut().poll(context)));
    assert_eq!(second.poll(), Pending);
    assert_eq!(std::sync::Arc::strong_count(&counter), 1, "the old waker is dropped");
    timers.fire(10);
    assert_eq!((second.wakes(), second.poll()), (1, Ready(())));
}

#[test]
fn a_node_can_stand_in_something_else_and_move_between_queues() {
    let (here, there) = (TimerQueue::new(), TimerQueue::new());
    let mut node = pin!(TimerNode::new());
    let waker = Waker::noop();
    assert_eq!(node.as_mut().arm(&here, 10, waker), Armed::Waiting);
    assert!(node.as_mut().still_waits(waker));
    assert_eq!(node.as_mut().arm(&here, 5, waker), Armed::Waiting);
    assert_eq!(here.next_deadline(), 5);
    assert_eq!(node.as_mut().arm(&there, 7, waker), Armed::Waiting);
    assert_eq!((here.next_deadline(), there.next_deadline()), (NEVER, 7));
    assert!(node.as_mut().cancel().is_some());
    assert!(node.as_mut().cancel().is_none());
    assert_eq!(there.next_deadline(), NEVER);
    assert_eq!(node.as_mut().arm(&there, 7, waker), Armed::Waiting);
    assert_eq!(there.fire(7), 1);
    assert!(!node.as_mut().still_waits(waker), "it fired");
    assert!(node.as_mut().cancel().is_none());
    assert_eq!(node.as_mut().arm(&there, 7, waker), Armed::Due);
    assert_eq!(node.as_mut().arm(&here, 9, waker), Armed::Waiting);
    assert_eq!(node.as_mut().arm(&here, NEVER, waker), Armed::Never);
    assert_eq!(here.next_deadline(), NEVER);
}

#[test]
fn the_owner_is_told_of_a_timer_that_comes_before_all_others() {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let timers = TimerQueue::with(Some(|owner, _| {
        TOLD.fetch_add(owner, SeqCst);
    }));
    let mut sleepers = [50, 40, 45, 40, 30].map(|at| ByHand::new(timers.sleep_until(at)));
    let mut told = sleepers.each_mut().map(|sleeper| {
        if timers.next_deadline() == 50 {
            assert!(timers.claim(100));
            assert!(!timers.claim(1), "it has an owner");
        }
        assert_eq!(sleeper.poll(), Pending);
        TOLD.load(SeqCst)
    });
    assert_eq!(told, [0, 100, 100, 100, 200], "not before there is an owner");
    told[0] = TOLD.load(SeqCst);
    timers.fire(45);
    drop(sleepers);
    assert_eq!(TOLD.load(SeqCst), told[0], "nothing is due earlier now");
}

#[test]
fn a_time_limit_ends_what_takes_too_long() {
    let timers = TimerQueue::new();
    let mut slow = ByHand::new(timeout_at(&timers, 10, std::future::pending::<()>()));
    assert_eq!(slow.poll(), Pending);
    timers.fire(10);
    assert_eq!(slow.wakes(), 1);
    assert_eq!(slow.poll(), Ready(Err(Elapsed)));

    let mut quick = ByHand::new(timeout_at(&timers, 20, async {
        yield_now().await;
        7
    }));
    assert_eq!(quick.poll(), Pending);
    assert_eq!(quick.poll(), Ready(Ok(7)));
    drop(quick);
    assert_eq!(timers.next_deadline(), NEVER, "the timer is gone with it");

    let mut both = ByHand::new(timeout_at(&timers, 5, std::future::ready(8)));
    assert_eq!(both.poll(), Ready(Ok(8)), "late, but there");
    assert_eq!(Elapsed.to_string(), "the deadline came first");
}
