//! Owners, handles, counters: what an executor offers besides its order, which `traces` shows.
#![forbid(unsafe_code)]

mod common;

use std::{
    cell::Cell,
    future::{pending, poll_fn, ready},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Poll, Waker},
};

use common::{WakerPlace, executor, own, spawn};
use orbital_executor::{
    executor::{Counters, Executor, Task, Watch},
    urgency::{AWAKE, IDLE, Urgency},
    yield_now,
};

#[test]
fn an_executor_has_one_owner_for_ever() {
    let executor: &'static Executor = Box::leak(Box::default());
    let owner = executor.claim(7).expect("it is new");
    assert!(executor.claim(7).is_none());
    let _ = owner;
    assert!(executor.claim(8).is_none(), "its tasks are bound to the first owner's thread");
    assert!(std::thread::spawn(|| executor.claim(9).is_none()).join().unwrap());
}

#[test]
#[should_panic(expected = "no owner")]
fn the_number_that_means_nobody_is_refused() {
    let executor: &'static Executor = Box::leak(Box::default());
    let _ = executor.claim(usize::MAX);
}

#[test]
fn a_task_that_can_be_sent_is_spawned_from_anywhere() {
    let owner = executor();
    let executor: &'static Executor = Box::leak(Box::default());
    let ran_on = Arc::new(std::sync::Mutex::new(None));
    // Before there is an owner, too.
    let noting = ran_on.clone();
    std::thread::spawn(move || {
        executor.spawn_send(Box::pin(Task::new(async move {
            *noting.lock().unwrap() = Some(std::thread::current().id());
        })));
    })
    .join()
    .unwrap();
    assert!(executor.has_work() && !owner.has_work());
    assert_eq!(executor.claim(0).unwrap().poll_ready(8), 1);
    assert_eq!(*ran_on.lock().unwrap(), Some(std::thread::current().id()));
    assert_eq!((executor.finished(), executor.counters().alive()), (1, 0));
}

#[test]
fn the_owner_is_told_of_each_task_that_is_queued() {
    static TOLD: AtomicUsize = AtomicUsize::new(0);
    let executor: &'static Executor = Box::leak(Box::new(Executor::with(
        Some(|owner, urgency| {
            TOLD.fetch_add(owner * urgency, SeqCst);
        }),
        None,
    )));
    executor.spawn_send(Box::pin(Task::new(ready(()))));
    assert_eq!(TOLD.load(SeqCst), 0, "there is nobody to tell");
    let owner = executor.claim(100).unwrap();
    assert!(owner.has_work(), "it has to look for what came before it");
    let place = WakerPlace::default();
    let shared = place.clone();
    spawn(
        owner,
        poll_fn(move |context| {
            shared.put(context.waker());
            Poll::Pending
        }),
    );
    assert_eq!(TOLD.load(SeqCst), 100);
    owner.poll_ready(8);
    for _ in 0..5 {
        place.get().wake();
    }
    assert_eq!(TOLD.load(SeqCst), 200, "once for many wakes");
}

#[test]
fn a_task_is_cancelled_while_it_is_idle_or_queued() {
    let owner = executor();
    for is_idle in [false, true] {
        let (token, polls) = (Rc::new(()), owner.polls());
        let held = token.clone();
        let handle = spawn(owner, async move {
            let _held = held;
            pending::<()>().await;
        });
        if is_idle {
            assert_eq!(owner.poll_ready(8), 1);
        }
        assert!(!handle.is_done());
        assert!(handle.cancel());
        assert_eq!(Rc::strong_count(&token), 1, "the future is dropped at once");
        assert!(handle.is_done() && !handle.cancel());
        assert_eq!(owner.poll_ready(8), usize::from(!is_idle), "its place on the queue");
        assert_eq!(owner.polls() - polls, u64::from(is_idle));
        assert_eq!(owner.counters().alive(), 0);
    }
}

#[test]
fn a_task_that_is_done_or_being_polled_is_not_cancelled() {
    let owner = executor();
    let done = spawn(owner, ready(()));
    owner.poll_ready(8);
    assert!(done.is_done() && !done.cancel());

    let place = Rc::new(std::cell::RefCell::new(None));
    let own = place.clone();
    let handle = spawn(owner, async move {
        let handle: orbital_executor::executor::TaskHandle = own.take().unwrap();
        assert!(!handle.cancel(), "a task can't cancel itself");
        yield_now().await;
    });
    place.replace(Some(handle));
    while owner.poll_ready(8) > 0 {}
    assert_eq!(owner.finished(), 2);
}

#[test]
fn a_waker_of_a_cancelled_task_does_nothing() {
    let owner = executor();
    let place = WakerPlace::default();
    let shared = place.clone();
    let handle = spawn(
        owner,
        poll_fn(move |context| {
            shared.put(context.waker());
            Poll::Pending
        }),
    );
    owner.poll_ready(8);
    assert!(handle.cancel());
    drop(handle);
    let wakes = owner.wakes();
    place.get().wake();
    assert_eq!((owner.poll_ready(8), owner.wakes()), (0, wakes));
}

#[test]
fn one_task_cancels_another_from_its_poll() {
    let owner = executor();
    let victim = spawn(owner, pending());
    owner.poll_ready(8);
    spawn(owner, async move {
        assert!(victim.cancel());
    });
    assert_eq!(owner.poll_ready(8), 1);
    assert_eq!(owner.counters().alive(), 0);
}

#[test]
fn a_task_polls_others_from_within_its_poll() {
    let owner = executor();
    let count = Rc::new(Cell::new(0));
    let inner = count.clone();
    spawn(owner, async move {
        for _ in 0..3 {
            assert_eq!(owner.poll_ready(8), 8, "not this one, which is being polled");
            yield_now().await;
        }
    });
    spawn(owner, async move {
        loop {
            inner.set(inner.get() + 1);
            yield_now().await;
        }
    });
    for _ in 0..7 {
        owner.poll_ready(1);
    }
    assert_eq!((owner.finished(), count.get()), (1, 27));
}

#[test]
fn long_polls_are_counted_and_the_longest_is_kept() {
    static NOW: AtomicU64 = AtomicU64::new(0);
    let watch = Watch { clock: || NOW.load(SeqCst), limit: 100 };
    let owner = own(Executor::with(None, Some(watch)));
    for took in [0, 99, 100, 101, 5000, 250] {
        spawn(owner, async move {
            NOW.fetch_add(took, SeqCst);
        });
    }
    // Between polls no time is counted.
    while owner.poll_ready(1) > 0 {
        NOW.fetch_add(1_000_000, SeqCst);
    }
    let expected =
        Counters { spawned: 6, finished: 6, wakes: 6, polls: 6, long_polls: 3, longest_poll: 5000 };
    assert_eq!(owner.counters(), expected);
}

#[test]
fn without_a_watch_nothing_is_measured() {
    let owner = executor();
    let forever = spawn(owner, pending());
    spawn(owner, ready(()));
    assert_eq!(owner.counters().alive(), 2);
    owner.poll_ready(8);
    let counters = owner.counters();
    assert_eq!((counters.alive(), counters.long_polls, counters.longest_poll), (1, 0, 0));
    forever.cancel();
}

#[test]
fn a_kick_is_asked_for_by_who_is_more_urgent_and_once() {
    let urgency = Urgency::new();
    assert!(!urgency.must_kick(AWAKE - 1), "it is awake");
    urgency.publish(5);
    assert!(!urgency.must_kick(4) && !urgency.must_kick(5));
    assert!(urgency.must_kick(6));
    assert!(!urgency.must_kick(7), "it has been kicked");
    assert!(urgency.settle(IDLE, || true));
    assert!(urgency.must_kick(1));
    assert!(!urgency.settle(IDLE, || false), "there is something to do");
    assert!(!urgency.must_kick(1));
}

#[test]
fn a_waker_can_be_used_and_dropped_after_everything_is_done() {
    let owner = executor();
    let place = WakerPlace::default();
    let shared = place.clone();
    let handle = spawn(
        owner,
        poll_fn(move |context| {
            shared.put(context.waker());
            Poll::Ready(())
        }),
    );
    owner.poll_ready(8);
    let wakers: Vec<Waker> = (0..10).map(|_| place.get()).collect();
    place.clear();
    drop(handle);
    std::thread::spawn(move || wakers.into_iter().for_each(Waker::wake)).join().unwrap();
    assert!(!owner.has_work());
}
