//! The run queue against a model: a list that is searched.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::Kernel;
use crate::{
    object::Ref,
    sched::run_queue::{PRIORITIES, RunQueue},
    thread::Tcb,
};

#[derive(Clone, Debug)]
enum Step {
    PushBack(usize),
    PushFront(usize),
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        any::<usize>().prop_map(Step::PushBack),
        any::<usize>().prop_map(Step::PushFront),
        Just(Step::Pop),
    ];
    prop::collection::vec(step, 0..100)
}

/// Neighbours and the borders of the bitmap's words.
fn priority() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), Just(63), Just(64), Just(127), Just(128), Just(255), any::<u8>(), 5..8_u8]
}

fn threads(kernel: &mut Kernel, priorities: &[u8]) -> Vec<Ref<Tcb>> {
    let process = kernel.init.clone();
    priorities.iter().map(|priority| kernel.thread(&process, *priority, async { 0 })).collect()
}

#[test]
fn every_priority_has_its_place() {
    let mut kernel = Kernel::boot();
    let all: Vec<u8> = (0..PRIORITIES).map(|priority| priority as u8).collect();
    let threads = threads(&mut kernel, &all);
    let mut queue = RunQueue::new();
    assert!(queue.top().is_none() && queue.pop().is_none());
    for thread in &threads {
        queue.push_back(thread.clone());
        assert_eq!(queue.top(), Some(thread.priority()));
    }
    for priority in all.iter().rev() {
        assert_eq!(queue.top(), Some(*priority));
        assert_eq!(queue.pop().map(|thread| thread.priority()), Some(*priority));
    }
    assert!(queue.top().is_none() && queue.pop().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_first_of_the_highest_priority_comes_next(
        priorities in prop::collection::vec(priority(), 1..20),
        steps in steps(),
    ) {
        let mut kernel = Kernel::boot();
        let threads = threads(&mut kernel, &priorities);
        let mut queue = RunQueue::new();
        // Waiting threads by their index, the next to run last in their priority.
        let mut model: Vec<usize> = Vec::new();
        for step in steps {
            match step {
                Step::PushBack(index) | Step::PushFront(index) => {
                    let index = index % threads.len();
                    if model.contains(&index) {
                        continue;
                    }
                    let thread = threads[index].clone();
                    if matches!(step, Step::PushBack(_)) {
                        queue.push_back(thread);
                        model.push(index);
                    } else {
                        queue.push_front(thread);
                        model.insert(0, index);
                    }
                }
                Step::Pop => {
                    let top = model.iter().map(|index| priorities[*index]).max();
                    let place = model.iter().position(|index| Some(priorities[*index]) == top);
                    let expected = place.map(|place| model.remove(place));
                    let popped = queue.pop();
                    let popped =
                        popped.map(|thread| threads.iter().position(|other| other.is(&thread)));
                    prop_assert_eq!(popped, expected.map(Some));
                }
            }
            prop_assert_eq!(queue.top(), model.iter().map(|index| priorities[*index]).max());
        }
    }
}
