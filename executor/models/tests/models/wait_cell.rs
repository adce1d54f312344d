//! One waiter in a cell, while others wake and close it.

use executor_loom::{
    planted::Bug,
    wait_cell::{Closed, WaitCell},
};
use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    by_hand::ByHand,
    explore::{Model, RACE, model, with_static},
};

struct Shared {
    cell: WaitCell,
    /// What the wakers announce. Nothing but the cell orders it.
    events: [AtomicUsize; 2],
    outcome: AtomicUsize,
}

const OPEN: usize = 1;
const CLOSED: usize = 2;

impl Shared {
    fn new() -> Self {
        Self {
            cell: WaitCell::new(),
            events: [0, 0].map(AtomicUsize::new),
            outcome: AtomicUsize::new(0),
        }
    }

    /// Waits for the first `count` events.
    fn wait(&'static self, count: usize) -> ByHand {
        ByHand::new(Box::pin(async move {
            let has_come = |event: &AtomicUsize| event.load(Ordering::Relaxed) == 1;
            let waiting = self.cell.wait_until(|| self.events[..count].iter().all(has_come));
            let outcome = match waiting.await {
                Ok(()) => OPEN,
                Err(Closed) => CLOSED,
            };
            self.outcome.store(outcome, Ordering::Relaxed);
        }))
    }

    fn announce(&self, number: usize) {
        self.events[number].store(1, Ordering::Relaxed);
        self.cell.wake();
    }
}

/// Polls as often as it was woken, up to three times; how many wakes the last poll came after.
fn drive(waiter: &mut ByHand) -> usize {
    let mut wakes = 0;
    waiter.poll();
    for _ in 0..2 {
        if waiter.is_pending() && waiter.wakes() > wakes {
            wakes = waiter.wakes();
            waiter.poll();
        }
    }
    wakes
}

/// Two wake while the waiter registers and looks.
fn no_wake_is_lost_while_the_waiter_registers() {
    let run = |shared: &'static Shared| {
        let wakers = [0, 1].map(|number| thread::spawn(move || shared.announce(number)));
        let mut waiter = shared.wait(2);
        let wakes = drive(&mut waiter);
        for waker in wakers {
            waker.join().unwrap();
        }
        assert!(!waiter.is_pending() || waiter.wakes() > wakes, "a wake is lost");
        if waiter.is_pending() {
            waiter.poll();
        }
        assert!(!waiter.is_pending(), "it was woken too early");
        assert!(!shared.cell.wake(), "a waker is left behind");
    };
    // SAFETY: the threads are joined, and the waiter is gone.
    unsafe { with_static(Shared::new(), run) };
}

/// The cell is closed while the waiter registers: it is refused, or woken and then refused.
fn who_waits_hears_of_the_closing() {
    let run = |shared: &'static Shared| {
        let closer = thread::spawn(|| shared.cell.close());
        let mut waiter = shared.wait(1);
        let wakes = drive(&mut waiter);
        closer.join().unwrap();
        if waiter.is_pending() {
            assert!(waiter.wakes() > wakes, "a wake is lost");
            waiter.poll();
        }
        assert!(!waiter.is_pending(), "it waits on a closed cell");
        assert_eq!(shared.outcome.load(Ordering::Relaxed), CLOSED);
        assert!(shared.cell.is_closed(), "it came open again");
    };
    // SAFETY: the thread is joined, and the waiter is gone.
    unsafe { with_static(Shared::new(), run) };
}

/// A waiter goes away while it is woken, and another one comes.
fn a_waiter_goes_and_another_one_comes() {
    let run = |shared: &'static Shared| {
        let mut first = shared.wait(1);
        first.poll();
        let waker = thread::spawn(|| shared.announce(0));
        drop(first);
        let mut second = shared.wait(1);
        let wakes = drive(&mut second);
        waker.join().unwrap();
        assert!(!second.is_pending() || second.wakes() > wakes, "a wake is lost");
        drop(second);
        assert!(!shared.cell.wake(), "a waker is left behind");
    };
    // SAFETY: the thread is joined, and the waiters are gone.
    unsafe { with_static(Shared::new(), run) };
}

pub fn models() -> Vec<Model> {
    const LOST: &str = "a wake is lost";
    [
        model(
            "two wakes that race with the registration in a cell are not lost",
            no_wake_is_lost_while_the_waiter_registers,
            &[
                (Bug::CellForgetsWaiter, LOST),
                (Bug::CellRelaxed, RACE),
                (Bug::CellTakesUnannounced, RACE),
            ],
        ),
        model(
            "who waits in a cell hears of its closing",
            who_waits_hears_of_the_closing,
            &[(Bug::CellClosesSilently, LOST), (Bug::CellCloseStores, RACE)],
        ),
        model(
            "a waiter leaves a cell while it is woken, and another one comes",
            a_waiter_goes_and_another_one_comes,
            &[(Bug::CellTakesUnannounced, RACE)],
        ),
    ]
    .concat()
}
