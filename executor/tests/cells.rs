//! The cell for one waiter, and the outcome that is decided once.
#![forbid(unsafe_code)]

mod common;

use std::{
    cell::Cell,
    rc::Rc,
    task::Poll::{Pending, Ready},
};

use common::{ByHand, executor, spawn};
use orbital_executor::{
    completion::Completion,
    wait_cell::{Closed, WaitCell},
};

#[test]
fn who_waits_in_a_cell_is_woken_once() {
    let (cell, open) = (WaitCell::new(), Cell::new(false));
    assert!(!cell.wake(), "nobody waits");
    let mut waiter = ByHand::new(cell.wait_until(|| open.get()));
    for _ in 0..3 {
        assert_eq!(waiter.poll(), Pending);
    }
    assert_eq!(waiter.wakers(), 1);
    assert!(cell.wake() && !cell.wake());
    assert_eq!((waiter.wakes(), waiter.wakers()), (1, 0));
    assert_eq!(waiter.poll(), Pending, "the condition does not hold");
    open.set(true);
    assert!(cell.wake());
    assert_eq!(waiter.poll(), Ready(Ok(())));
    assert_eq!(waiter.wakers(), 0, "it does not wait any more");
    assert!(!cell.wake());
}

#[test]
fn a_wake_between_registering_and_checking_is_not_lost() {
    let cell = WaitCell::new();
    let mut waiter = ByHand::new(cell.wait_until(|| {
        assert!(cell.wake());
        false
    }));
    assert_eq!(waiter.poll(), Pending);
    assert_eq!(waiter.wakes(), 1);
}

#[test]
fn closing_wakes_and_refuses() {
    let (cell, open) = (WaitCell::new(), Cell::new(false));
    let mut waiter = ByHand::new(cell.wait_until(|| open.get()));
    assert_eq!(waiter.poll(), Pending);
    assert!(!cell.is_closed());
    cell.close();
    cell.close();
    assert!(cell.is_closed());
    assert_eq!((waiter.wakes(), waiter.poll()), (1, Ready(Err(Closed))));
    let mut late = ByHand::new(cell.wait_until(|| open.get()));
    assert_eq!((late.poll(), late.wakers()), (Ready(Err(Closed)), 0));
    open.set(true);
    let mut late = ByHand::new(cell.wait_until(|| open.get()));
    assert_eq!(late.poll(), Ready(Ok(())), "what holds is still found");
}

#[test]
fn a_waiter_that_is_dropped_takes_its_waker_along() {
    let cell = WaitCell::new();
    let mut waiter = ByHand::new(cell.wait_until(|| false));
    assert_eq!(waiter.poll(), Pending);
    let counter = waiter.counter();
    drop(waiter);
    assert_eq!(std::sync::Arc::strong_count(&counter), 1);
    assert!(!cell.wake());
}

#[test]
fn the_first_one_decides_and_the_others_get_their_value_back() {
    let outcome = Completion::new();
    let mut waiter = ByHand::new(outcome.wait());
    assert_eq!(waiter.poll(), Pending);
    assert!(!outcome.is_decided());
    assert_eq!(outcome.complete("done"), Ok(()));
    assert_eq!(outcome.complete("cancelled"), Err("cancelled"));
    assert!(outcome.is_decided());
    assert_eq!((waiter.wakes(), waiter.poll()), (1, Ready("done")));
    assert_eq!(outcome.try_take(), None);
    assert_eq!(outcome.complete("once more"), Err("once more"));
}

#[test]
fn a_value_that_nobody_takes_is_dropped_with_its_place() {
    let token = Rc::new(());
    let outcome = Completion::new();
    let mut waiter = ByHand::new(outcome.wait());
    assert_eq!(waiter.poll(), Pending);
    drop(waiter);
    assert!(outcome.complete(token.clone()).is_ok());
    assert!(outcome.complete(token.clone()).is_err());
    assert_eq!(Rc::strong_count(&token), 2);
    drop(outcome);
    assert_eq!(Rc::strong_count(&token), 1);
}

#[test]
fn tasks_hand_over_their_results() {
    let owner = executor();
    let first: &Completion<u32> = Box::leak(Box::default());
    let second: &Completion<u32> = Box::leak(Box::default());
    let sum = spawn(owner, async {
        assert_eq!(first.wait().await + second.wait().await, 42);
    });
    owner.poll_ready(8);
    spawn(owner, async {
        second.complete(2).unwrap();
        first.complete(40).unwrap();
    });
    while owner.poll_ready(8) > 0 {}
    assert!(sum.is_done());
    assert_eq!(owner.polls(), 3, "the second value was there when the first one came");
}
