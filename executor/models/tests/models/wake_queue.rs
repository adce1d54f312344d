//! Two producers and a consumer on a wake queue.

use std::ptr::NonNull;

use executor_loom::{
    planted::Bug,
    task::{TaskHeader, TaskVtable},
    wake_queue::WakeQueue,
};
use loom::{cell::UnsafeCell, sync::Arc, thread};

use crate::explore::{Model, RACE, model};

/// Who pushes what: two producers, one with two tasks.
const PUSHES: [&[usize]; 2] = [&[0, 1], &[2]];

fn header() -> TaskHeader {
    static VTABLE: TaskVtable = TaskVtable { schedule: |_| (), retain: |_| (), release: |_| () };
    // SAFETY: the functions do nothing.
    unsafe { TaskHeader::new(&VTABLE) }
}

struct Shared {
    queue: WakeQueue,
    nodes: [TaskHeader; 3],
    /// What the producer writes before the push, and the consumer reads after taking.
    payloads: [UnsafeCell<usize>; 3],
}

// SAFETY: loom reports accesses to the payloads that the queue does not order.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

fn take(shared: &Shared, taken: &mut Vec<usize>) -> usize {
    let before = taken.len();
    for node in shared.queue.take_all() {
        let number = shared.nodes.iter().position(|own| NonNull::from(own) == node).unwrap();
        // SAFETY: written before the push.
        let payload = shared.payloads[number].with(|payload| unsafe { *payload });
        assert_eq!(payload, number + 100, "taken before it was written");
        taken.push(number);
    }
    usize::from(taken.len() > before)
}

fn two_producers_and_a_consumer() {
    let shared = Arc::new(Shared {
        queue: WakeQueue::new(),
        nodes: std::array::from_fn(|_| header()),
        payloads: std::array::from_fn(|_| UnsafeCell::new(0)),
    });
    let producers = PUSHES.map(|numbers| {
        let shared = shared.clone();
        thread::spawn(move || {
            let push = |&number: &usize| {
                // SAFETY: nobody else knows of it before the push.
                shared.payloads[number].with_mut(|payload| unsafe { *payload = number + 100 });
                // SAFETY: the model pushes each once, and they live to its end.
                let was_empty = unsafe { shared.queue.push(NonNull::from(&shared.nodes[number])) };
                usize::from(was_empty)
            };
            numbers.iter().map(push).sum::<usize>()
        })
    });
    let mut taken = Vec::new();
    let mut turns = 0;
    for _ in 0..2 {
        turns += take(&shared, &mut taken);
    }
    let found_empty: usize = producers.map(|producer| producer.join().unwrap()).iter().sum();
    turns += take(&shared, &mut taken);

    let mut sorted = taken.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2], "lost or doubled");
    let place = |number| taken.iter().position(|&taken| taken == number);
    assert!(place(0) < place(1), "out of order: {taken:?}");
    assert_eq!(found_empty, turns, "the consumer is told each time, and only then");
}

pub fn models() -> Vec<Model> {
    const LOST: &str = "lost or doubled";
    [model(
        "a wake queue loses and doubles nothing, keeps the order and publishes",
        two_producers_and_a_consumer,
        &[
            (Bug::PushStores, LOST),
            (Bug::PushRelaxed, RACE),
            (Bug::TakeInTwoSteps, LOST),
            (Bug::PushKeepsLink, LOST),
        ],
    )]
    .concat()
}
