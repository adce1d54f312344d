//! Threads that wait for each other.
#![forbid(unsafe_code)]

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use guests::threads::{MIDDLE, at, settle};
use orbital_user::{
    clock,
    sync::{Condvar, Mutex, Semaphore},
    thread::{JoinHandle, spawn, yield_now},
};

/// Threads that contend.
const THREADS: usize = 6;
/// What each does.
const TURNS: usize = 300;

fn all<T: Send + 'static>(mut f: impl FnMut(usize) -> JoinHandle<T>) -> Vec<T> {
    let threads: Vec<_> = (0..THREADS).map(&mut f).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

pub fn a_mutex_keeps_threads_apart() {
    let shared = Arc::new(Mutex::new((0, 0)));
    all(|number| {
        let shared = shared.clone();
        spawn(move || {
            for turn in 0..TURNS {
                let mut both = shared.lock();
                let before = both.0;
                if (number + turn) % 7 == 0 {
                    yield_now();
                }
                both.0 = before + 1;
                both.1 += 1;
            }
        })
        .unwrap()
    });
    assert_eq!(*shared.lock(), (THREADS * TURNS, THREADS * TURNS));
}

pub fn who_waits_for_a_mutex_lets_its_holder_run() {
    let shared = Arc::new(Mutex::new(Vec::new()));
    let permit = Arc::new(Semaphore::new(0));
    let (theirs, gate) = (shared.clone(), permit.clone());
    let holder = at(1, move || {
        let mut order = theirs.lock();
        gate.acquire();
        order.push(1);
    });
    settle();
    assert!(shared.try_lock().is_none());
    let waiters = [MIDDLE, MIDDLE + 1].map(|priority| {
        let shared = shared.clone();
        at(priority, move || shared.lock().push(priority))
    });
    settle();
    permit.release(1);
    holder.join().unwrap();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert_eq!(*shared.lock(), [1, MIDDLE + 1, MIDDLE], "the more urgent first");
}

pub fn a_queue_with_conditions_loses_nothing() {
    struct Shared {
        queue: Mutex<VecDeque<usize>>,
        has_some: Condvar,
        has_room: Condvar,
    }
    let shared = Arc::new(Shared {
        queue: Mutex::default(),
        has_some: Condvar::new(),
        has_room: Condvar::new(),
    });
    let sums = all(|number| {
        let shared = shared.clone();
        spawn(move || {
            let mut sum = 0;
            for turn in 0..TURNS {
                if number % 2 == 0 {
                    let queue = shared.queue.lock();
                    let mut queue = shared.has_room.wait_while(queue, |queue| queue.len() >= 2);
                    queue.push_back(turn);
                    drop(queue);
                    shared.has_some.notify_one();
                } else {
                    let queue = shared.queue.lock();
                    let mut queue = shared.has_some.wait_while(queue, |queue| queue.is_empty());
                    sum += queue.pop_front().unwrap();
                    drop(queue);
                    shared.has_room.notify_one();
                }
            }
            sum
        })
        .unwrap()
    });
    assert_eq!(sums.iter().sum::<usize>(), THREADS / 2 * (TURNS * (TURNS - 1) / 2));
    assert!(shared.queue.lock().is_empty());
}

pub fn everyone_is_told() {
    let shared = Arc::new((Mutex::new((0, false)), Condvar::new(), Condvar::new()));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let shared = shared.clone();
            spawn(move || {
                let (state, came, go) = &*shared;
                let mut state = state.lock();
                state.0 += 1;
                came.notify_one();
                drop(go.wait_while(state, |state| !state.1));
            })
            .unwrap()
        })
        .collect();
    let (state, came, go) = &*shared;
    came.wait_while(state.lock(), |state| state.0 < THREADS).1 = true;
    go.notify_all();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

pub fn a_wait_for_a_condition_ends_at_its_deadline() {
    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    for deadline in [0, 1, clock::now() + 200_000] {
        let (guard, was_told) = shared.1.wait_until(shared.0.lock(), deadline);
        assert!(!was_told && clock::now() >= deadline);
        assert!(shared.0.try_lock().is_none(), "it has the mutex again");
        drop(guard);
    }
    // Those that gave up are told nothing, so the next one is.
    let theirs = shared.clone();
    let waiter = at(MIDDLE, move || {
        let (mut value, was_told) = theirs.1.wait_until(theirs.0.lock(), u64::MAX - 1);
        *value += 1;
        was_told
    });
    settle();
    shared.1.notify_one();
    assert!(waiter.join().unwrap());
    assert_eq!(*shared.0.lock(), 1);
    // Nobody waits: it is no news later.
    shared.1.notify_all();
    assert!(!shared.1.wait_until(shared.0.lock(), clock::now() + 1_000).1);
}

pub fn no_more_threads_than_permits() {
    const PERMITS: usize = 3;
    let semaphore = Arc::new(Semaphore::new(1));
    let inside = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            spawn(move || {
                for turn in 0..TURNS {
                    semaphore.acquire();
                    assert!(inside.fetch_add(1, Relaxed) < PERMITS);
                    if turn % 5 == 0 {
                        yield_now();
                    }
                    inside.fetch_sub(1, Relaxed);
                    semaphore.release(1);
                }
            })
            .unwrap()
        })
        .collect();
    semaphore.release(PERMITS - 1);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(semaphore.available(), PERMITS);
}
