//! Two producers and a consumer on a wake queue.

use std::ptr::{self, NonNull};

use executor_loom::{
    task::{TaskHeader, TaskVtable},
    wake_queue::WakeQueue,
};
use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicPtr, Ordering},
    },
    thread,
};

use crate::explore::{Model, RACE};

/// Who pushes what: two producers, one with two tasks.
const PUSHES: [&[usize]; 2] = [&[0, 1], &[2]];

/// The real queue and its copies.
trait Queue: Send + Sync + 'static {
    type Node: Send + Sync + 'static;
    fn new() -> Self;
    fn node() -> Self::Node;
    fn push(&self, node: &Self::Node) -> bool;
    /// The nodes' addresses, in the order of the pushes.
    fn take_all(&self) -> Vec<*const Self::Node>;
}

impl Queue for WakeQueue {
    type Node = TaskHeader;

    fn new() -> Self {
        Self::new()
    }

    fn node() -> TaskHeader {
        static VTABLE: TaskVtable =
            TaskVtable { schedule: |_| (), retain: |_| (), release: |_| () };
        TaskHeader::new(&VTABLE)
    }

    fn push(&self, node: &TaskHeader) -> bool {
        // SAFETY: the model pushes each once, and they live to its end.
        unsafe { self.push(NonNull::from(node)) }
    }

    fn take_all(&self) -> Vec<*const TaskHeader> {
        self.take_all().map(|task| task.as_ptr().cast_const()).collect()
    }
}

/// A copy of the queue.
struct Copy<const BUG: u8> {
    last: AtomicPtr<Link>,
}

struct Link(AtomicPtr<Link>);

const NO_BUG: u8 = 0;
/// The push reads the last one and then stores itself.
const STORES: u8 = 1;
/// The push does not publish what was written before it.
const RELAXED_PUSH: u8 = 2;
/// The consumer reads the list and then empties it.
const TAKES_IN_TWO_STEPS: u8 = 3;
/// A push that lost against another one goes on with the link that it had.
const KEEPS_LINK: u8 = 4;

impl<const BUG: u8> Queue for Copy<BUG> {
    type Node = Link;

    fn new() -> Self {
        Self { last: AtomicPtr::new(ptr::null_mut()) }
    }

    fn node() -> Link {
        Link(AtomicPtr::new(ptr::null_mut()))
    }

    fn push(&self, node: &Link) -> bool {
        let this = ptr::from_ref(node).cast_mut();
        let success = if BUG == RELAXED_PUSH { Ordering::Relaxed } else { Ordering::Release };
        let mut last = self.last.load(Ordering::Relaxed);
        node.0.store(last, Ordering::Relaxed);
        if BUG == STORES {
            self.last.store(this, Ordering::Release);
            return last.is_null();
        }
        while let Err(now) = self.last.compare_exchange(last, this, success, Ordering::Relaxed) {
            last = now;
            if BUG != KEEPS_LINK {
                node.0.store(last, Ordering::Relaxed);
            }
        }
        last.is_null()
    }

    fn take_all(&self) -> Vec<*const Link> {
        let mut at = if BUG == TAKES_IN_TWO_STEPS {
            let at = self.last.load(Ordering::Acquire);
            self.last.store(ptr::null_mut(), Ordering::Relaxed);
            at
        } else {
            self.last.swap(ptr::null_mut(), Ordering::Acquire)
        };
        let mut taken = Vec::new();
        while !at.is_null() {
            taken.push(at.cast_const());
            // SAFETY: the model's nodes live to its end.
            at = unsafe { &*at }.0.load(Ordering::Relaxed);
        }
        taken.reverse();
        taken
    }
}

struct Shared<Q: Queue> {
    queue: Q,
    nodes: [Q::Node; 3],
    /// What the producer writes before the push, and the consumer reads after taking.
    payloads: [UnsafeCell<usize>; 3],
}

// SAFETY: loom reports accesses to the payloads that the queue does not order.
unsafe impl<Q: Queue> Sync for Shared<Q> {}

fn take<Q: Queue>(shared: &Shared<Q>, taken: &mut Vec<usize>) -> usize {
    let nodes = shared.queue.take_all();
    for &node in &nodes {
        let number = shared.nodes.iter().position(|own| ptr::eq(own, node)).unwrap();
        // SAFETY: written before the push.
        let payload = shared.payloads[number].with(|payload| unsafe { *payload });
        assert_eq!(payload, number + 100, "taken before it was written");
        taken.push(number);
    }
    usize::from(!nodes.is_empty())
}

fn two_producers_and_a_consumer<Q: Queue>() {
    let shared = Arc::new(Shared {
        queue: Q::new(),
        nodes: std::array::from_fn(|_| Q::node()),
        payloads: std::array::from_fn(|_| UnsafeCell::new(0)),
    });
    let producers = PUSHES.map(|numbers| {
        let shared = shared.clone();
        thread::spawn(move || {
            let push = |&number: &usize| {
                // SAFETY: nobody else knows of it before the push.
                shared.payloads[number].with_mut(|payload| unsafe { *payload = number + 100 });
                usize::from(shared.queue.push(&shared.nodes[number]))
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
    vec![
        Model::holds(
            "a wake queue loses and doubles nothing, keeps the order and publishes",
            two_producers_and_a_consumer::<WakeQueue>,
        ),
        Model::holds(
            "the copy of the wake queue without a bug does the same",
            two_producers_and_a_consumer::<Copy<NO_BUG>>,
        ),
        Model::planted(
            "a push that stores instead of exchanging",
            LOST,
            two_producers_and_a_consumer::<Copy<STORES>>,
        ),
        Model::planted(
            "a push that does not publish",
            RACE,
            two_producers_and_a_consumer::<Copy<RELAXED_PUSH>>,
        ),
        Model::planted(
            "a consumer that takes in two steps",
            LOST,
            two_producers_and_a_consumer::<Copy<TAKES_IN_TWO_STEPS>>,
        ),
        Model::planted(
            "a push that keeps its link after losing a race",
            LOST,
            two_producers_and_a_consumer::<Copy<KEEPS_LINK>>,
        ),
    ]
}
