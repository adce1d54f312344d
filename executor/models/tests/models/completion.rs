//! Completing against cancelling: one of them decides, and who waits gets what that one said.

use std::sync::Mutex;

use executor_loom::{completion::Completion, planted::Bug};
use loom::thread;

use crate::{
    by_hand::ByHand,
    explore::{Model, RACE, model, with_static},
};

const COMPLETED: usize = 1;
const CANCELLED: usize = 2;

struct Shared {
    /// Boxed, so that a value that is not published is found.
    completion: Completion<Box<usize>>,
    /// What the waiter got.
    got: Mutex<Option<usize>>,
}

fn one_of_two_decides() {
    let run = |shared: &'static Shared| {
        let [completer, canceller] = [COMPLETED, CANCELLED].map(|value| {
            thread::spawn(move || match shared.completion.complete(Box::new(value)) {
                Ok(()) => 1,
                Err(back) => {
                    assert_eq!(*back, value);
                    0
                }
            })
        });
        let mut waiter = ByHand::new(Box::pin(async {
            let value = *shared.completion.wait().await;
            assert_eq!(shared.got.lock().unwrap().replace(value), None);
        }));
        waiter.poll();
        let won = [completer.join().unwrap(), canceller.join().unwrap()];
        assert!(won == [1, 0] || won == [0, 1], "who decided: {won:?}");
        if waiter.is_pending() {
            assert!(waiter.wakes() > 0, "a wake is lost");
            waiter.poll();
        }
        let expected = if won[0] == 1 { COMPLETED } else { CANCELLED };
        assert_eq!(*shared.got.lock().unwrap(), Some(expected));
        assert!(shared.completion.try_take().is_none(), "taken twice");
    };
    let shared = Shared { completion: Completion::new(), got: Mutex::new(None) };
    // SAFETY: the threads are joined, and the waiter is gone.
    unsafe { with_static(shared, run) };
}

/// Who waits goes away while someone completes: the value is there for who looks later.
fn going_away_only_detaches() {
    let run = |shared: &'static Shared| {
        let mut waiter = ByHand::new(Box::pin(async {
            shared.completion.wait().await;
        }));
        waiter.poll();
        let completer = thread::spawn(|| {
            assert!(shared.completion.complete(Box::new(COMPLETED)).is_ok());
        });
        drop(waiter);
        let early = shared.completion.try_take();
        completer.join().unwrap();
        let late = shared.completion.try_take();
        assert_eq!(early.xor(late).as_deref(), Some(&COMPLETED));
    };
    let shared = Shared { completion: Completion::new(), got: Mutex::new(None) };
    // SAFETY: the thread is joined, and the waiter is gone.
    unsafe { with_static(shared, run) };
}

pub fn models() -> Vec<Model> {
    [
        model(
            "completing against cancelling: one of them decides",
            one_of_two_decides,
            &[
                (Bug::ClaimStores, RACE),
                (Bug::ReadyRelaxed, RACE),
                (Bug::ReadyAfterWake, "a wake is lost"),
            ],
        ),
        model(
            "a waiter that goes away does not take the value along",
            going_away_only_detaches,
            &[(Bug::ReadyRelaxed, RACE)],
        ),
    ]
    .concat()
}
