//! Real threads. What the models in `models/` check for all schedules of a few steps, this checks
//! for some schedules of millions. With `ORBITAL_SOAK` in the environment; a tenth otherwise.

mod common;

use std::{
    future::poll_fn,
    ptr::NonNull,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Poll, Waker},
    thread,
};

use common::{executor, spawn, stress};
use orbital_executor::{
    task::{TaskHeader, TaskVtable},
    wait_queue::WaitQueue,
    wake_queue::WakeQueue,
};

const PRODUCERS: usize = 4;

static VTABLE: TaskVtable =
    TaskVtable { schedule: |_| unreachable!(), retain: |_| unreachable!(), release: |_| {} };

#[repr(C)]
struct Item {
    header: TaskHeader,
    producer: usize,
    /// Written just before the push, not atomically in effect: the queue must publish it.
    number: AtomicUsize,
}

#[test]
fn four_producers_lose_nothing_and_double_nothing_on_a_wake_queue() {
    let each = stress(1_000_000);
    let queue = WakeQueue::new();
    let items: Vec<Vec<Item>> = (0..PRODUCERS)
        .map(|producer| {
            let item = |_| Item {
                // SAFETY: the header is never woken.
                header: unsafe { TaskHeader::new(&VTABLE) },
                producer,
                number: AtomicUsize::new(usize::MAX),
            };
            (0..each).map(item).collect()
        })
        .collect();
    let empty_before = AtomicUsize::new(0);
    let mut next = [0; PRODUCERS];
    let mut turns = 0;
    thread::scope(|scope| {
        for items in &items {
            scope.spawn(|| {
                for (number, item) in items.iter().enumerate() {
                    item.number.store(number, Relaxed);
                    // SAFETY: each item is pushed once and outlives the queue's use.
                    let was_empty = unsafe { queue.push(NonNull::from(item).cast()) };
                    empty_before.fetch_add(usize::from(was_empty), Relaxed);
                }
            });
        }
        while next.iter().sum::<usize>() < PRODUCERS * each {
            let mut taken = queue.take_all().peekable();
            if taken.peek().is_none() {
                thread::yield_now();
                continue;
            }
            turns += 1;
            for task in taken {
                // SAFETY: every header in this queue starts an item.
                let item = unsafe { task.cast::<Item>().as_ref() };
                let expected = &mut next[item.producer];
                assert_eq!(item.number.load(Relaxed), *expected, "lost, doubled or out of order");
                *expected += 1;
            }
        }
    });
    assert_eq!(next, [each; PRODUCERS]);
    assert!(queue.is_empty());
    assert_eq!(empty_before.into_inner(), turns, "one push after each emptying finds it empty");
}

#[test]
fn four_threads_wake_tasks_and_no_wake_is_lost_and_no_poll_doubled() {
    const TASKS: usize = 16;
    // Four million wakes in all, or forty.
    let each = stress(40_000_000) / PRODUCERS / TASKS;
    let announced_to_each = (PRODUCERS * each) as u64;

    struct Shared {
        waker: Mutex<Option<Waker>>,
        /// What the producers announced and the task has not seen yet.
        announced: AtomicU64,
        seen: AtomicU64,
        polled: AtomicBool,
    }

    let executor = executor();
    let tasks: &'static [Shared] = Vec::leak(
        (0..TASKS)
            .map(|_| Shared {
                waker: Mutex::new(None),
                announced: AtomicU64::new(0),
                seen: AtomicU64::new(0),
                polled: AtomicBool::new(false),
            })
            .collect(),
    );
    for task in tasks {
        spawn(
            executor,
            poll_fn(move |context| {
                assert!(!task.polled.swap(true, Relaxed), "polled twice at a time");
                task.waker.lock().unwrap().get_or_insert_with(|| context.waker().clone());
                let new = task.announced.swap(0, Relaxed);
                let seen = task.seen.fetch_add(new, Relaxed) + new;
                task.polled.store(false, Relaxed);
                if seen == announced_to_each { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
    }
    assert_eq!(executor.poll_ready(usize::MAX), TASKS);
    let running = AtomicUsize::new(PRODUCERS);
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let running = &running;
            scope.spawn(move || {
                let wakers: Vec<_> =
                    tasks.iter().map(|task| task.waker.lock().unwrap().clone().unwrap()).collect();
                for turn in 0..each * TASKS {
                    let number = (turn * 7 + producer * 3) % TASKS;
                    tasks[number].announced.fetch_add(1, Relaxed);
                    wakers[number].wake_by_ref();
                }
                running.fetch_sub(1, std::sync::atomic::Ordering::Release);
            });
        }
        while running.load(std::sync::atomic::Ordering::Acquire) > 0 {
            if executor.poll_ready(5) == 0 {
                thread::yield_now();
            }
        }
    });
    // A lost wake would leave a task behind that nobody queues again.
    while executor.has_work() {
        executor.poll_ready(5);
    }
    for task in tasks {
        assert_eq!(task.seen.load(Relaxed), announced_to_each);
    }
    assert_eq!(executor.finished(), TASKS as u64);
    assert_eq!(executor.wakes(), executor.polls(), "each time it was queued it was polled");
}

#[test]
fn what_four_threads_hand_out_by_waking_one_waiter_at_a_time_is_all_taken() {
    const TASKS: usize = 8;
    let each = stress(1_000_000);
    let all = (PRODUCERS * each) as u64;
    let executor = executor();
    let queue: &'static WaitQueue = Box::leak(Box::default());
    let things: &'static AtomicU64 = Box::leak(Box::default());
    let taken: &'static AtomicU64 = Box::leak(Box::default());
    for _ in 0..TASKS {
        spawn(executor, async move {
            loop {
                queue
                    .wait_until(|| {
                        taken.load(Relaxed) == all
                            || things.try_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok()
                    })
                    .await;
                if taken.load(Relaxed) == all {
                    return;
                }
                if taken.fetch_add(1, Relaxed) + 1 == all {
                    queue.wake_all();
                    return;
                }
            }
        });
    }
    let running = AtomicUsize::new(PRODUCERS);
    thread::scope(|scope| {
        for _ in 0..PRODUCERS {
            scope.spawn(|| {
                for _ in 0..each {
                    things.fetch_add(1, Relaxed);
                    queue.wake_one();
                }
                running.fetch_sub(1, std::sync::atomic::Ordering::Release);
            });
        }
        while running.load(std::sync::atomic::Ordering::Acquire) > 0 {
            if executor.poll_ready(5) == 0 {
                thread::yield_now();
            }
        }
    });
    while executor.has_work() {
        executor.poll_ready(5);
    }
    assert_eq!(taken.load(Relaxed), all);
    assert_eq!(executor.finished(), TASKS as u64);
}
