//! Futures that wait.
#![forbid(unsafe_code)]

mod common;

use std::{
    cell::Cell,
    task::Poll::{Pending, Ready},
};

use common::{ByHand, Trace, executor, spawn};
use orbital_executor::{wait_queue::WaitQueue, yield_now};

#[test]
fn one_is_woken_at_a_time_and_who_has_waited_longest_first() {
    let (queue, open) = (WaitQueue::new(), Cell::new(false));
    let mut waiters: [_; 3] = std::array::from_fn(|_| ByHand::new(queue.wait_until(|| open.get())));
    for waiter in &mut waiters {
        assert_eq!(waiter.poll(), Pending);
    }
    for woken in [[1, 0, 0], [1, 1, 0], [1, 1, 1]] {
        assert!(queue.wake_one());
        assert_eq!(waiters.each_ref().map(ByHand::wakes), woken);
    }
    assert!(!queue.wake_one(), "everyone was woken");
}

#[test]
fn all_who_wait_are_woken_once_however_many() {
    let (queue, open) = (WaitQueue::new(), Cell::new(false));
    // Wakers are called in batches: on and beside their ends.
    for count in [0, 1, 7, 8, 9, 16, 17, 100] {
        open.set(false);
        let mut waiters: Vec<_> =
            (0..count).map(|_| ByHand::new(queue.wait_until(|| open.get()))).collect();
        assert!(waiters.iter_mut().all(|waiter| waiter.poll() == Pending));
        open.set(true);
        queue.wake_all();
        assert!(waiters.iter().all(|waiter| waiter.wakes() == 1));
        assert!(!queue.wake_one());
        assert!(waiters.iter_mut().all(|waiter| waiter.poll() == Ready(())));
    }
}

#[test]
fn waking_all_ends_though_those_woken_wait_again_at_once() {
    use std::{
        sync::{Arc, Mutex, Weak},
        task::{Context, Wake, Waker},
    };

    type Waiting = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Polls its future as soon as it is woken.
    struct Eager(Mutex<(usize, Option<Waiting>)>, Weak<Self>);
    impl Wake for Eager {
        fn wake(self: Arc<Self>) {
            let mut this = self.0.lock().unwrap();
            this.0 += 1;
            let waker = Waker::from(self.1.upgrade().unwrap());
            let polled = this.1.as_mut().unwrap().as_mut().poll(&mut Context::from_waker(&waker));
            assert_eq!(polled, Pending);
        }
    }

    let queue: &'static WaitQueue = Box::leak(Box::default());
    let eager: Vec<_> = (0..20)
        .map(|_| {
            let waiting: Waiting = Box::pin(queue.wait_until(|| false));
            Arc::new_cyclic(|own| Eager(Mutex::new((0, Some(waiting))), own.clone()))
        })
        .collect();
    for one in &eager {
        one.clone().wake();
    }
    queue.wake_all();
    for one in &eager {
        assert_eq!(one.0.lock().unwrap().0, 2, "once by hand, once by the queue");
        // The future's waker and the future hold each other.
        let waiting = one.0.lock().unwrap().1.take();
        drop(waiting);
    }
    assert!(!queue.wake_one());
}

#[test]
fn a_waiter_that_is_dropped_in_the_middle_unlinks() {
    for dropped in 0..3 {
        let queue = WaitQueue::new();
        let mut waiters: Vec<_> = (0..3).map(|_| ByHand::new(queue.wait_until(|| false))).collect();
        assert!(waiters.iter_mut().all(|waiter| waiter.poll() == Pending));
        drop(waiters.remove(dropped));
        assert!(queue.wake_one());
        assert_eq!([waiters[0].wakes(), waiters[1].wakes()], [1, 0]);
        assert!(queue.wake_one());
        assert_eq!([waiters[0].wakes(), waiters[1].wakes()], [1, 1]);
        assert!(!queue.wake_one());
    }
}

#[test]
fn the_list_is_whole_after_all_orders_of_dropping() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let queue = WaitQueue::new();
        let mut waiters: Vec<_> =
            (0..3).map(|_| Some(ByHand::new(queue.wait_until(|| false)))).collect();
        for waiter in waiters.iter_mut().flatten() {
            assert_eq!(waiter.poll(), Pending);
        }
        for number in order {
            waiters[number] = None;
        }
        assert!(!queue.wake_one());
        let mut late = ByHand::new(queue.wait_until(|| false));
        assert_eq!(late.poll(), Pending);
        assert!(queue.wake_one());
        assert_eq!(late.wakes(), 1);
    }
}

#[test]
fn a_wake_before_the_wait_is_seen_by_the_first_check() {
    let (queue, open) = (WaitQueue::new(), Cell::new(false));
    open.set(true);
    assert!(!queue.wake_one());
    let mut waiter = ByHand::new(queue.wait_until(|| open.get()));
    assert_eq!(waiter.poll(), Ready(()));
    assert_eq!((waiter.wakes(), waiter.wakers()), (0, 0));
    assert!(!queue.wake_one(), "who does not wait is not in the list");
}

#[test]
fn a_wake_between_registering_and_checking_is_not_lost() {
    let queue = WaitQueue::new();
    // The condition runs after the registration: a wake from there finds the waiter.
    let mut waiter = ByHand::new(queue.wait_until(|| {
        assert!(queue.wake_one());
        false
    }));
    assert_eq!(waiter.poll(), Pending);
    assert_eq!(waiter.wakes(), 1);
}

#[test]
fn a_waiter_that_is_polled_again_keeps_its_place_and_uses_the_new_waker() {
    let queue = WaitQueue::new();
    let mut first = ByHand::new(queue.wait_until(|| false));
    let mut second = ByHand::new(queue.wait_until(|| false));
    for _ in 0..3 {
        assert_eq!(first.poll(), Pending);
        assert_eq!(second.poll(), Pending);
    }
    assert_eq!((first.wakers(), second.wakers()), (1, 1), "old wakers are dropped");
    queue.wake_one();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    assert_eq!((first.wakers(), second.wakers()), (0, 1));
    queue.wake_one();
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    assert!(!queue.wake_one(), "each is in the list once");
}

#[test]
fn a_waiter_that_is_woken_too_early_waits_again_at_the_end() {
    let queue = WaitQueue::new();
    let mut first = ByHand::new(queue.wait_until(|| false));
    let mut second = ByHand::new(queue.wait_until(|| false));
    assert_eq!((first.poll(), second.poll()), (Pending, Pending));
    queue.wake_one();
    assert_eq!(first.poll(), Pending);
    queue.wake_one();
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    queue.wake_one();
    assert_eq!((first.wakes(), second.wakes()), (2, 1));
}

#[test]
fn a_waiter_that_is_dropped_after_wake_one_passes_the_wake_on() {
    let queue = WaitQueue::new();
    let mut waiters: [_; 3] =
        std::array::from_fn(|_| Some(ByHand::new(queue.wait_until(|| false))));
    for waiter in waiters.iter_mut().flatten() {
        assert_eq!(waiter.poll(), Pending);
    }
    queue.wake_one();
    waiters[0] = None;
    let wakes = |number: usize| waiters[number].as_ref().map(ByHand::wakes);
    assert_eq!([wakes(1), wakes(2)], [Some(1), Some(0)], "to one, and to the next one");
}

#[test]
fn a_waiter_that_goes_away_without_a_wake_of_its_own_passes_nothing_on() {
    let (queue, open) = (WaitQueue::new(), Cell::new(false));
    let mut other = ByHand::new(queue.wait_until(|| false));

    // Never polled.
    drop(ByHand::new(queue.wait_until(|| false)));
    // Waiting, not woken.
    let mut waiting = ByHand::new(queue.wait_until(|| false));
    assert_eq!(waiting.poll(), Pending);
    assert_eq!(other.poll(), Pending);
    drop(waiting);
    // Woken, checked, and ready.
    let mut done = ByHand::new(queue.wait_until(|| open.get()));
    drop(other);
    assert_eq!(done.poll(), Pending);
    let mut other = ByHand::new(queue.wait_until(|| false));
    assert_eq!(other.poll(), Pending);
    queue.wake_one();
    open.set(true);
    assert_eq!(done.poll(), Ready(()));
    drop(done);
    // Woken, checked, and waiting again.
    let mut again = ByHand::new(queue.wait_until(|| false));
    assert_eq!(again.poll(), Pending);
    queue.wake_one();
    assert_eq!(other.poll(), Pending);
    assert_eq!((other.wakes(), again.wakes()), (1, 0));
    drop(other);
    assert_eq!(again.wakes(), 0);
    // Woken with all others.
    let mut other = ByHand::new(queue.wait_until(|| false));
    assert_eq!(other.poll(), Pending);
    queue.wake_all();
    let mut late = ByHand::new(queue.wait_until(|| false));
    assert_eq!(late.poll(), Pending);
    drop(other);
    drop(again);
    assert_eq!(late.wakes(), 0);
}

#[test]
fn a_wake_that_comes_while_a_waiter_succeeds_anyway_goes_to_the_next() {
    let (queue, things) = (WaitQueue::new(), Cell::new(1));
    let take = || things.get() > 0 && things.replace(things.get() - 1) > 0;
    let mut second = ByHand::new(queue.wait_until(take));
    let mut first = ByHand::new(queue.wait_until(|| {
        assert!(take());
        // Between this check and the end of the wait, someone comes to wait, and a thing for it.
        assert_eq!(second.poll(), Pending);
        things.set(1);
        assert!(queue.wake_one());
        true
    }));
    assert_eq!(first.poll(), Ready(()));
    drop(first);
    assert_eq!(second.wakes(), 1, "there is a thing, and nobody knows");
    assert_eq!(second.poll(), Ready(()));
}

#[test]
fn a_wait_that_loses_a_race_between_futures_unlinks() {
    let (executor, trace) = (executor(), Trace::new());
    let queue: &'static WaitQueue = Box::leak(Box::default());
    let noting = trace.clone();
    spawn(executor, async move {
        let waiting = Box::pin(queue.wait_until(|| false));
        let timeout = Box::pin(async {
            yield_now().await;
            noting.note("timeout");
        });
        futures_util::future::select(waiting, timeout).await;
    });
    executor.poll_ready(16);
    assert_eq!(executor.finished(), 1);
    assert_eq!(trace.take(), ["timeout"]);
    assert!(!queue.wake_one());
}

#[test]
fn tasks_that_wait_are_polled_in_the_order_of_their_waits() {
    let (executor, trace) = (executor(), Trace::new());
    let queue: &'static WaitQueue = Box::leak(Box::default());
    let open: &'static std::sync::atomic::AtomicBool = Box::leak(Box::default());
    for name in ["a", "b", "c"] {
        let trace = trace.clone();
        spawn(executor, async move {
            queue.wait_until(|| open.load(std::sync::atomic::Ordering::Relaxed)).await;
            trace.note(name);
        });
    }
    assert_eq!(executor.poll_ready(16), 3);
    assert_eq!(trace.take(), [""; 0]);
    open.store(true, std::sync::atomic::Ordering::Relaxed);
    queue.wake_all();
    assert_eq!(executor.poll_ready(16), 3);
    assert_eq!(trace.take(), ["a", "b", "c"]);
    assert_eq!(executor.finished(), 3);
}
