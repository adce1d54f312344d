//! What `futures-util` offers works with this crate's tasks, and the other way round.
#![forbid(unsafe_code)]

mod common;

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    task::Poll,
};

use common::{Trace, executor, spawn};
use futures_util::{
    FutureExt, StreamExt,
    future::{Either, join, join_all, select},
    stream::FuturesUnordered,
    task::AtomicWaker,
};
use orbital_executor::{
    completion::Completion,
    executor::Owner,
    timer::{Elapsed, NEVER, TimerQueue, timeout_at},
    wait_queue::WaitQueue,
    yield_now,
};

fn timers() -> &'static TimerQueue {
    Box::leak(Box::default())
}

/// Polls and jumps to the next deadline until there is none.
fn run(executor: Owner, timers: &TimerQueue) {
    loop {
        while executor.poll_ready(8) > 0 {}
        match timers.next_deadline() {
            NEVER => return,
            deadline => assert!(timers.fire(deadline) > 0),
        }
    }
}

#[test]
fn select_takes_what_comes_first_and_drops_the_rest() {
    let (executor, timers, trace) = (executor(), timers(), Trace::new());
    let noting = trace.clone();
    spawn(executor, async move {
        let (short, long) = (pin!(timers.sleep_until(10)), pin!(timers.sleep_until(20)));
        match select(short, long).await {
            Either::Left(((), _)) => noting.note(("short", timers.now())),
            Either::Right(((), _)) => noting.note(("long", timers.now())),
        }
        assert_eq!(timers.next_deadline(), 20, "the long one is still there");
    });
    run(executor, timers);
    assert_eq!(trace.take(), [("short", 10)]);
    assert_eq!((timers.now(), executor.finished()), (10, 1), "the long one went with its task");
}

#[test]
fn join_waits_for_both_and_join_all_for_all() {
    let (executor, timers, trace) = (executor(), timers(), Trace::new());
    let noting = trace.clone();
    spawn(executor, async move {
        let sleep = |at| timers.sleep_until(at).map(move |()| (at, timers.now()));
        noting.note(Vec::from(<[_; 2]>::from(join(sleep(20), sleep(10)).await)));
        noting.note(join_all([30, 50, 40].map(sleep)).await);
    });
    run(executor, timers);
    let expected = [vec![(20, 20), (10, 10)], vec![(30, 30), (50, 50), (40, 40)]];
    assert_eq!(trace.take(), expected);
}

#[test]
fn futures_unordered_gives_each_as_it_comes() {
    let (executor, timers, trace) = (executor(), timers(), Trace::new());
    let noting = trace.clone();
    spawn(executor, async move {
        let mut sleepers: FuturesUnordered<_> = [30, 10, 20, 10]
            .into_iter()
            .enumerate()
            .map(|(number, at)| timers.sleep_until(at).map(move |()| number))
            .collect();
        while let Some(number) = sleepers.next().await {
            noting.note((number, timers.now()));
        }
    });
    run(executor, timers);
    assert_eq!(trace.take(), [(1, 10), (3, 10), (2, 20), (0, 30)]);
}

#[test]
fn an_atomic_waker_wakes_a_task() {
    static WAKER: AtomicWaker = AtomicWaker::new();
    static SET: AtomicBool = AtomicBool::new(false);
    let executor = executor();
    let handle = spawn(
        executor,
        std::future::poll_fn(|context| {
            WAKER.register(context.waker());
            if SET.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        }),
    );
    while executor.poll_ready(8) > 0 {}
    assert!(!handle.is_done());
    std::thread::spawn(|| {
        SET.store(true, SeqCst);
        WAKER.wake();
    })
    .join()
    .unwrap();
    assert_eq!(executor.poll_ready(8), 1);
    assert!(handle.is_done());
}

#[test]
fn a_time_limit_goes_around_anything() {
    let (executor, timers, trace) = (executor(), timers(), Trace::new());
    let queue: &WaitQueue = Box::leak(Box::default());
    let answer: &Completion<u32> = Box::leak(Box::default());
    let noting = trace.clone();
    spawn(executor, async move {
        let nobody = timeout_at(timers, 10, queue.wait_until(|| false)).await;
        noting.note(nobody.map(|()| 0));
        let two = join(answer.wait(), timers.sleep_until(15).then(|()| yield_now()));
        noting.note(timeout_at(timers, 30, two).await.map(|(answer, ())| answer));
        let (late, never) = (pin!(timers.sleep_until(40)), pin!(std::future::pending::<()>()));
        noting.note(timeout_at(timers, 35, select(late, never)).await.map(|_| 0));
        let nested = timeout_at(timers, 60, timeout_at(timers, 50, std::future::pending()));
        noting.note(nested.await.unwrap_or(Ok(1)));
    });
    spawn(executor, async move {
        timers.sleep_until(20).await;
        answer.complete(42).expect("nobody else does");
    });
    run(executor, timers);
    assert_eq!(trace.take(), [Err(Elapsed), Ok(42), Err(Elapsed), Err(Elapsed)]);
    assert!(!queue.wake_one(), "who gave up does not wait");
    assert_eq!((timers.now(), executor.counters().alive()), (50, 0));
}
