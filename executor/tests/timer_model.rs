//! The timer queue against a naive model of it: a sorted list.
#![forbid(unsafe_code)]

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
};

use orbital_executor::timer::{BATCH, NEVER, Sleep, TimerQueue};
use proptest::prelude::*;

const SLEEPERS: usize = 24;

#[derive(Clone, Debug)]
enum Step {
    /// Another future with this deadline in this place, which is polled.
    Sleep(usize, u64),
    Poll(usize),
    Drop(usize),
    Reset(usize, u64),
    /// This much later it is fired, all or one batch.
    Fire(u64),
    FireBatch(u64),
}

fn deadline() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0..60_u64, 1 => 60..10_000_u64, 1 => Just(NEVER), 1 => NEVER - 2..=NEVER]
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0..SLEEPERS;
    prop_oneof![
        8 => (number.clone(), deadline()).prop_map(|(number, at)| Step::Sleep(number, at)),
        3 => number.clone().prop_map(Step::Poll),
        3 => number.clone().prop_map(Step::Drop),
        3 => (number, deadline()).prop_map(|(number, at)| Step::Reset(number, at)),
        2 => (0..12_u64).prop_map(Step::Fire),
        1 => (0..30_u64).prop_map(Step::FireBatch),
    ]
}

/// What can be seen from outside.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Who was woken, in this order.
    woken: Vec<usize>,
    /// What each poll found.
    ready: Vec<bool>,
    /// What each firing returned.
    fired: Vec<usize>,
    /// The next deadline after each step.
    next: Vec<u64>,
}

// The model.

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Queued,
    Over,
}

#[derive(Default)]
struct Model {
    /// Deadline, number; sorted by deadline, and of equal ones by when they came.
    queued: Vec<(u64, usize)>,
    sleepers: [Option<(u64, State)>; SLEEPERS],
    now: u64,
    seen: Seen,
}

impl Model {
    fn remove(&mut self, number: usize) {
        self.queued.retain(|&(_, other)| other != number);
    }

    /// Whether it is over.
    fn arm(&mut self, number: usize, deadline: u64) -> bool {
        let over = deadline <= self.now;
        let state = match deadline {
            _ if over => State::Over,
            NEVER => State::New,
            _ => {
                let place = self.queued.partition_point(|&(other, _)| other <= deadline);
                self.queued.insert(place, (deadline, number));
                State::Queued
            }
        };
        self.sleepers[number] = Some((deadline, state));
        over
    }

    fn poll(&mut self, number: usize) {
        let Some((deadline, state)) = self.sleepers[number] else { return };
        let ready = match state {
            State::New => self.arm(number, deadline),
            State::Queued if deadline > self.now => false,
            _ => {
                self.remove(number);
                self.sleepers[number] = Some((deadline, State::Over));
                true
            }
        };
        self.seen.ready.push(ready);
    }

    fn fire(&mut self, later: u64, most: usize) {
        self.now += later;
        let due = self.queued.partition_point(|&(deadline, _)| deadline <= self.now).min(most);
        for (deadline, number) in self.queued.drain(..due) {
            self.seen.woken.push(number);
            self.sleepers[number] = Some((deadline, State::Queued));
        }
        self.seen.fired.push(due);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Sleep(number, deadline) => {
                self.remove(number);
                self.sleepers[number] = Some((deadline, State::New));
                self.poll(number);
            }
            Step::Poll(number) => self.poll(number),
            Step::Drop(number) => {
                self.remove(number);
                self.sleepers[number] = None;
            }
            Step::Reset(number, deadline) => {
                if self.sleepers[number].is_none() {
                    return;
                }
                let was_queued = self.queued.iter().any(|&(_, other)| other == number);
                self.remove(number);
                self.sleepers[number] = Some((deadline, State::New));
                if was_queued && self.arm(number, deadline) {
                    self.seen.woken.push(number);
                    self.sleepers[number] = Some((deadline, State::New));
                }
            }
            Step::Fire(later) => self.fire(later, usize::MAX),
            Step::FireBatch(later) => self.fire(later, BATCH),
        }
    }

    fn next(&self) -> u64 {
        self.queued.first().map_or(NEVER, |&(deadline, _)| deadline)
    }
}

// The real one.

struct Named(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

struct Real<'q> {
    timers: &'q TimerQueue,
    sleepers: [Option<Pin<Box<Sleep<'q>>>>; SLEEPERS],
    wakers: [Waker; SLEEPERS],
    now: u64,
    seen: Seen,
}

impl Real<'_> {
    fn poll(&mut self, number: usize) {
        let mut context = Context::from_waker(&self.wakers[number]);
        if let Some(sleeper) = &mut self.sleepers[number] {
            self.seen.ready.push(sleeper.as_mut().poll(&mut context) == Poll::Ready(()));
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Sleep(number, deadline) => {
                self.sleepers[number] = Some(Box::pin(self.timers.sleep_until(deadline)));
                self.poll(number);
            }
            Step::Poll(number) => self.poll(number),
            Step::Drop(number) => self.sleepers[number] = None,
            Step::Reset(number, deadline) => {
                if let Some(sleeper) = &mut self.sleepers[number] {
                    sleeper.as_mut().reset(deadline);
                }
            }
            Step::Fire(later) => {
                self.now += later;
                self.seen.fired.push(self.timers.fire(self.now));
            }
            Step::FireBatch(later) => {
                self.now += later;
                self.seen.fired.push(self.timers.fire_batch(self.now));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..<_>::default() })]

    #[test]
    fn the_timer_queue_does_what_a_sorted_list_does(steps in prop::collection::vec(step(), 0..150)) {
        let timers = TimerQueue::new();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waker = |number| Waker::from(Arc::new(Named(number, woken.clone())));
        let mut real = Real {
            timers: &timers,
            sleepers: [const { None }; SLEEPERS],
            wakers: std::array::from_fn(waker),
            now: 0,
            seen: Seen::default(),
        };
        let mut model = Model::default();
        // Whoever is left in the end fires.
        let rest = [Step::Fire(1 << 40)];
        for step in steps.into_iter().chain(rest) {
            model.step(&step);
            real.step(&step);
            model.seen.next.push(model.next());
            real.seen.next.push(timers.next_deadline());
        }
        real.seen.woken = woken.lock().unwrap().clone();
        prop_assert_eq!(&real.seen, &model.seen);
        real.sleepers = [const { None }; SLEEPERS];
        prop_assert_eq!(timers.next_deadline(), NEVER);
        prop_assert_eq!(timers.fire(NEVER - 1), 0, "someone is left in the heap");
    }
}
