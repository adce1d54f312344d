//! Queues of threads, those that are ready and those that wait.

use proptest::prelude::*;

use super::{
    super::{ReadyQueue, Tcb, WaitingQueue},
    threads,
};
use crate::{object::Ref, tests::kernel::Kernel};

fn number(thread: &Tcb, threads: &[Ref<Tcb>]) -> usize {
    threads.iter().position(|other| core::ptr::eq(&raw const **other, thread)).unwrap()
}

#[test]
fn ready_threads_go_in_the_order_of_their_coming_but_for_the_front() {
    let mut kernel = Kernel::boot();
    let threads = threads(&mut kernel, 4);
    let mut queue = ReadyQueue::new();
    assert!(queue.is_empty() && queue.pop_front().is_none());
    queue.push_back(threads[0].clone());
    queue.push_back(threads[1].clone());
    queue.push_front(threads[2].clone());
    queue.push_back(threads[3].clone());
    // SAFETY: there is one queue.
    assert!(unsafe { queue.remove(&threads[1]) }.is_some());
    // SAFETY: as above.
    assert!(unsafe { queue.remove(&threads[1]) }.is_none(), "it is in none now");
    let popped = core::iter::from_fn(|| queue.pop_front());
    let order: Vec<usize> = popped.map(|thread| number(&thread, &threads)).collect();
    assert_eq!(order, [2, 0, 3]);
    assert!(queue.is_empty());
}

/// A kill makes a thread ready while it still stands in an endpoint's queue.
#[test]
fn a_thread_can_be_ready_and_wait_at_once() {
    let mut kernel = Kernel::boot();
    let threads = threads(&mut kernel, 3);
    let (mut ready, mut waiting) = (ReadyQueue::new(), WaitingQueue::new());
    threads.iter().for_each(|thread| waiting.insert(thread.clone()));
    threads.iter().rev().for_each(|thread| ready.push_back(thread.clone()));
    assert!(ready.pop_front().is_some_and(|thread| thread.is(&threads[2])));
    // SAFETY: there is one queue of those who wait.
    assert!(unsafe { waiting.remove(&threads[0]) }.is_some());
    assert!(ready.pop_front().is_some_and(|thread| thread.is(&threads[1])));
    assert!(waiting.pop_front().is_some_and(|thread| thread.is(&threads[1])));
    assert!(waiting.pop_front().is_some_and(|thread| thread.is(&threads[2])));
    assert!(ready.pop_front().is_some_and(|thread| thread.is(&threads[0])));
}

/// The fixture finds the threads that a queue would keep.
#[test]
fn a_queue_that_goes_lets_its_threads_go() {
    let mut kernel = Kernel::boot();
    let (mut ready, mut waiting) = (ReadyQueue::new(), WaitingQueue::new());
    threads(&mut kernel, 3).into_iter().for_each(|thread| waiting.insert(thread));
    threads(&mut kernel, 3).into_iter().for_each(|thread| ready.push_back(thread));
}

/// What can happen to a queue of those who wait.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This one comes, or goes if it is there.
    Toggle(usize),
    Pop,
    BeginWalk,
    Walk,
}

fn step(threads: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..threads).prop_map(Step::Toggle),
        2 => Just(Step::Pop),
        1 => Just(Step::BeginWalk),
        4 => Just(Step::Walk),
    ]
}

/// The same by a list that is searched from end to end.
#[derive(Default)]
struct Model {
    /// Number and priority of each thread, from the first to the last.
    queue: Vec<(usize, u8)>,
    /// The next of the walk.
    next: Option<usize>,
}

impl Model {
    fn insert(&mut self, thread: usize, priority: u8) {
        let place = self.queue.iter().take_while(|(_, other)| *other >= priority).count();
        self.queue.insert(place, (thread, priority));
    }

    /// The one in front of this.
    fn before(&self, thread: usize) -> Option<usize> {
        let place = self.queue.iter().position(|(other, _)| *other == thread).unwrap();
        place.checked_sub(1).map(|place| self.queue[place].0)
    }

    fn remove(&mut self, thread: usize) -> bool {
        let is_here = self.queue.iter().any(|(other, _)| *other == thread);
        if is_here && self.next == Some(thread) {
            self.next = self.before(thread);
        }
        self.queue.retain(|(other, _)| *other != thread);
        is_here
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The more urgent come first, equals in the order in which they came; and walks visit whom they should.
    #[test]
    fn those_who_wait_stand_as_in_a_naive_list(
        priorities in prop::collection::vec(0_u8..5, 12),
        steps in prop::collection::vec(step(12), 0..120),
    ) {
        let mut kernel = Kernel::boot();
        let process = kernel.init.clone();
        let threads: Vec<Ref<Tcb>> = priorities
            .iter()
            .map(|priority| kernel.thread(&process, *priority, async { 0 }))
            .collect();
        let (mut queue, mut model) = (WaitingQueue::new(), Model::default());
        for step in steps {
            match step {
                Step::Toggle(thread) => {
                    // SAFETY: there is one queue.
                    let was_here = unsafe { queue.remove(&threads[thread]) }.is_some();
                    prop_assert_eq!(was_here, model.remove(thread));
                    if !was_here {
                        queue.insert(threads[thread].clone());
                        model.insert(thread, priorities[thread]);
                    }
                }
                Step::Pop => {
                    let popped = queue.pop_front().map(|thread| number(&thread, &threads));
                    let expected = model.queue.first().map(|(thread, _)| *thread);
                    prop_assert_eq!(popped, expected);
                    expected.map(|thread| model.remove(thread));
                }
                Step::BeginWalk => {
                    queue.begin_walk();
                    model.next = model.queue.last().map(|(thread, _)| *thread);
                }
                Step::Walk => {
                    let visited = queue.next_of_walk().map(|thread| number(thread, &threads));
                    prop_assert_eq!(visited, model.next);
                    model.next = model.next.and_then(|thread| model.before(thread));
                }
            }
            let first = queue.first().map(|thread| number(thread, &threads));
            prop_assert_eq!(first, model.queue.first().map(|(thread, _)| *thread));
            prop_assert_eq!(queue.is_empty(), model.queue.is_empty());
        }
        let popped = core::iter::from_fn(|| queue.pop_front());
        let order: Vec<usize> = popped.map(|thread| number(&thread, &threads)).collect();
        let expected: Vec<usize> = model.queue.iter().map(|(thread, _)| *thread).collect();
        prop_assert_eq!(order, expected);
    }
}
