//! The executor against a naive model of it, over random sequences of what can happen.
#![forbid(unsafe_code)]

mod common;

use std::{cell::RefCell, collections::VecDeque, future::poll_fn, rc::Rc, task::Poll};

use common::{WakerPlace, executor, spawn};
use orbital_executor::executor::Owner;
use proptest::prelude::*;

/// What one poll of a task does, in this order.
#[derive(Clone, Debug)]
enum Action {
    WakeSelf,
    /// Of the tasks so far, by number modulo their count.
    Wake(usize),
    /// A task that is done at its first poll.
    SpawnShort,
}

#[derive(Clone, Debug)]
enum Step {
    /// One list of actions for each poll; with the last one the task is done.
    Spawn(Vec<Vec<Action>>),
    Wake(usize),
    Poll(usize),
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => Just(Action::WakeSelf),
        3 => any::<usize>().prop_map(Action::Wake),
        1 => Just(Action::SpawnShort),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let polls = prop::collection::vec(prop::collection::vec(action(), 0..4), 1..6);
    prop_oneof![
        2 => polls.prop_map(Step::Spawn),
        5 => any::<usize>().prop_map(Step::Wake),
        3 => (0_usize..6).prop_map(Step::Poll),
    ]
}

/// What can be seen from outside.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// The task's number at each poll.
    trace: Vec<usize>,
    /// What each `poll_ready` returned, and whether there was work after it.
    returned: Vec<(usize, bool)>,
    polls: u64,
    wakes: u64,
    finished: u64,
    /// How many futures were dropped.
    dropped: usize,
}

// The model.

#[derive(Default)]
struct ModelTask {
    script: VecDeque<Vec<Action>>,
    queued: bool,
    done: bool,
    /// Wakers exist only once it was polled.
    polled: bool,
}

#[derive(Default)]
struct Model {
    tasks: Vec<ModelTask>,
    ready: VecDeque<usize>,
    seen: Seen,
}

impl Model {
    fn spawn(&mut self, script: Vec<Vec<Action>>) {
        self.tasks.push(ModelTask { script: script.into(), ..ModelTask::default() });
        self.queue(self.tasks.len() - 1);
    }

    fn queue(&mut self, number: usize) {
        let task = &mut self.tasks[number];
        if !task.done && !task.queued {
            task.queued = true;
            self.ready.push_back(number);
            self.seen.wakes += 1;
        }
    }

    fn wake(&mut self, number: usize) {
        if self.tasks[number].polled {
            self.queue(number);
        }
    }

    fn poll_ready(&mut self, budget: usize) {
        let mut polled = 0;
        while polled < budget
            && let Some(number) = self.ready.pop_front()
        {
            polled += 1;
            self.poll(number);
        }
        self.seen.returned.push((polled, !self.ready.is_empty()));
    }

    fn poll(&mut self, number: usize) {
        self.seen.trace.push(number);
        self.seen.polls += 1;
        let task = &mut self.tasks[number];
        (task.queued, task.polled) = (false, true);
        let actions = task.script.pop_front().unwrap();
        let last = task.script.is_empty();
        let mut woken = false;
        for action in actions {
            match action {
                Action::WakeSelf => woken = true,
                Action::Wake(other) if other % self.tasks.len() == number => woken = true,
                Action::Wake(other) => self.wake(other % self.tasks.len()),
                Action::SpawnShort => self.spawn(vec![vec![]]),
            }
        }
        if last {
            self.tasks[number].done = true;
            self.seen.finished += 1;
            self.seen.dropped += 1;
        } else if woken {
            // A wake while it is polled counts from the end of the poll.
            self.queue(number);
        }
    }
}

// The real one.

struct Real {
    executor: Owner,
    wakers: RefCell<Vec<WakerPlace>>,
    seen: RefCell<Seen>,
}

struct CountsDrop(Rc<Real>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.seen.borrow_mut().dropped += 1;
    }
}

fn spawn_real(real: &Rc<Real>, script: Vec<Vec<Action>>) {
    let place = WakerPlace::default();
    let number = real.wakers.borrow().len();
    real.wakers.borrow_mut().push(place.clone());
    let mut script = VecDeque::from(script);
    let held = CountsDrop(real.clone());
    spawn(
        real.executor,
        poll_fn(move |context| {
            let real = &held.0;
            real.seen.borrow_mut().trace.push(number);
            place.put(context.waker());
            for action in script.pop_front().unwrap() {
                match action {
                    Action::WakeSelf => context.waker().wake_by_ref(),
                    Action::Wake(other) => wake_real(real, other),
                    Action::SpawnShort => spawn_real(real, vec![vec![]]),
                }
            }
            if script.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }),
    );
}

fn wake_real(real: &Real, number: usize) {
    let place = {
        let wakers = real.wakers.borrow();
        wakers[number % wakers.len()].clone()
    };
    if let Some(waker) = place.try_get() {
        waker.wake();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn the_executor_does_what_a_naive_model_does(steps in prop::collection::vec(step(), 0..60)) {
        let mut model = Model::default();
        let real = Rc::new(Real {
            executor: executor(),
            wakers: RefCell::default(),
            seen: RefCell::default(),
        });
        // What is left at the end is polled to its end: whoever is lost in between shows.
        let rest = [Step::Poll(usize::MAX)];
        for step in steps.into_iter().chain(rest) {
            match step {
                Step::Spawn(script) => {
                    model.spawn(script.clone());
                    spawn_real(&real, script);
                }
                Step::Wake(_) if model.tasks.is_empty() => {}
                Step::Wake(number) => {
                    model.wake(number % model.tasks.len());
                    wake_real(&real, number);
                }
                Step::Poll(budget) => {
                    model.poll_ready(budget);
                    let polled = real.executor.poll_ready(budget);
                    let has_work = real.executor.has_work();
                    real.seen.borrow_mut().returned.push((polled, has_work));
                }
            }
        }
        let mut seen = real.seen.take();
        seen.polls = real.executor.polls();
        seen.wakes = real.executor.wakes();
        seen.finished = real.executor.finished();
        prop_assert_eq!(seen, model.seen);
    }
}
