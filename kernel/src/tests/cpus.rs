//! Several CPUs, played in turns by one host thread in an order that a seed decides: the same seed, the
//! same run. A CPU goes on for one step: from user mode into the kernel and out of it again, or until
//! it sleeps. While it is in the kernel others may go on in between, wherever it asks the machine for
//! something ([`race`]); their steps begin and end within its own. What the test itself does comes from
//! [`OUTSIDE`].
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::programs::Programs;
use crate::{
    arch::{
        SavedRegisters,
        host::{OUTSIDE, Stop, entry, idle, play, playing, race, run, set_count},
    },
    object::Ref,
    sched::dispatch,
    thread::{Tcb, state::ThreadState},
};

/// A run that has not ended after so many steps never will.
const MOST_STEPS: usize = 1_000_000;

/// A sequence that looks random and is the same every time (Knuth's MMIX constants).
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// The sequence that `seed` names.
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// The next number, below `end`.
    pub fn below(&self, end: usize) -> usize {
        let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005);
        self.0.set(next.wrapping_add(1_442_695_040_888_963_407));
        (self.0.get() >> 33) as usize % end
    }

    /// True once in `times`.
    pub fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// Where a CPU is between two of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a program.
    User,
    /// In the kernel, with interrupts let in.
    Kernel,
    /// It waits for an interrupt.
    Asleep,
    /// In the middle of a step: further down on the stack.
    Busy,
}

/// The CPUs.
pub struct Cpus {
    places: Vec<Cell<Place>>,
    random: Random,
    programs: Rc<Programs>,
    /// One in how many points lets another CPU go on; 0 is none.
    races: Cell<usize>,
    /// One in how many steps delays an interrupt that is due in user mode; 0 and 1 are none.
    delays: Cell<usize>,
    /// What made the machine end.
    stop: Cell<Option<Stop>>,
    /// Points in the kernel until the deed that comes in between.
    until_deed: Cell<usize>,
    deed: RefCell<Option<Box<dyn FnOnce()>>>,
    /// All threads of the test, to be looked after.
    pub threads: RefCell<Vec<Ref<Tcb>>>,
}

impl Cpus {
    /// So many CPUs, in the kernel before their first look at their queues.
    pub fn new(count: usize, seed: u64, programs: Rc<Programs>) -> Rc<Self> {
        set_count(count);
        play(OUTSIDE);
        idle::set_stepped(true);
        let cpus = Rc::new(Self {
            places: vec![Cell::new(Place::Kernel); count],
            random: Random::new(seed),
            programs,
            races: Cell::new(0),
            delays: Cell::new(0),
            stop: Cell::new(None),
            until_deed: Cell::new(0),
            deed: RefCell::new(None),
            threads: RefCell::default(),
        });
        let others = Rc::downgrade(&cpus);
        race::set_others(move || {
            if let Some(cpus) = others.upgrade() {
                cpus.race();
            }
        });
        cpus
    }

    /// From here on, at one in `points` points in the kernel another CPU goes on, and one in `steps`
    /// interrupts is on its way for longer.
    pub fn disturb(&self, points: usize, steps: usize) {
        self.races.set(points);
        self.delays.set(steps);
    }

    /// Where `cpu` is.
    pub fn place(&self, cpu: usize) -> Place {
        self.places[cpu].get()
    }

    /// Whether `cpu` has anything to do.
    pub fn can_go_on(&self, cpu: usize) -> bool {
        match self.place(cpu) {
            Place::User | Place::Kernel => true,
            Place::Asleep => idle::is_due(cpu),
            Place::Busy => false,
        }
    }

    fn pick(&self) -> Option<usize> {
        let able: Vec<usize> = (0..self.places.len()).filter(|cpu| self.can_go_on(*cpu)).collect();
        (!able.is_empty()).then(|| able[self.random.below(able.len())])
    }

    /// Lets the machine run until it stops by itself; [`Stop::Idle`] when all CPUs sleep.
    pub fn run(&self) -> Stop {
        for _ in 0..MOST_STEPS {
            match self.pick() {
                Some(cpu) => self.step(cpu),
                None if idle::pass_time() => {}
                None => {
                    self.nobody_is_forgotten();
                    return Stop::Idle;
                }
            }
            if let Some(stop) = self.stop.take() {
                return stop;
            }
        }
        panic!("the run does not end: {self:?}");
    }

    /// Lets `cpu` alone go on until it sleeps.
    pub fn run_alone(&self, cpu: usize) {
        while self.can_go_on(cpu) {
            self.step(cpu);
        }
    }

    /// Lets `cpu` go on for one step if `wanted`, and if it has anything to do; whether it did.
    pub fn step_if(&self, cpu: usize, wanted: impl FnOnce() -> bool) -> bool {
        let goes_on = self.can_go_on(cpu) && wanted();
        if goes_on {
            self.step(cpu);
        }
        goes_on
    }

    /// Lets `cpu` alone go on until `done`.
    ///
    /// # Panics
    /// When it sleeps before.
    pub fn run_until(&self, cpu: usize, mut done: impl FnMut() -> bool) {
        for _ in 0..MOST_STEPS {
            if done() {
                return;
            }
            assert!(self.can_go_on(cpu), "cpu{cpu} sleeps");
            self.step(cpu);
        }
        panic!("it never is: {self:?}");
    }

    /// At the point with this number from here on, in the kernel of whichever CPU, `deed` comes in
    /// between, from [`OUTSIDE`].
    pub fn at_point(&self, number: usize, deed: impl FnOnce() + 'static) {
        self.until_deed.set(number);
        self.deed.replace(Some(Box::new(deed)));
    }

    /// Whether [`Cpus::at_point`]'s deed is still to come; if so it is forgotten.
    pub fn has_not_come(&self) -> bool {
        self.deed.take().is_some()
    }

    /// At a point in the kernel of the CPU that is being played: perhaps another one goes on.
    fn race(&self) {
        if self.until_deed.get() > 0 {
            self.until_deed.set(self.until_deed.get() - 1);
        } else if let Some(deed) = self.deed.take() {
            let before = playing();
            play(OUTSIDE);
            deed();
            play(before);
        }
        if self.races.get() == 0 || !self.random.one_in(self.races.get()) {
            return;
        }
        let own = self.places.iter().filter(|place| place.get() == Place::Busy).count();
        if own < self.places.len()
            && let Some(cpu) = self.pick()
        {
            self.step(cpu);
        }
    }

    /// Lets `cpu` go on for one step.
    pub fn step(&self, cpu: usize) {
        let before = playing();
        play(cpu);
        let place = self.places[cpu].replace(Place::Busy);
        let left = match place {
            Place::User => self.step_in_user_mode(cpu),
            Place::Kernel => run(|| {
                idle::deliver();
                dispatch::next()
            }),
            Place::Asleep => run(|| {
                idle::deliver();
                dispatch::end_sleep();
                dispatch::next()
            }),
            Place::Busy => unreachable!("cpu{cpu} is in the middle of a step"),
        };
        play(cpu);
        self.places[cpu].set(match left {
            Ok(_) => Place::User,
            Err(Stop::Window) => Place::Kernel,
            Err(Stop::Idle) => Place::Asleep,
            Err(stop) => {
                self.stop.set(Some(stop));
                Place::Kernel
            }
        });
        self.nobody_is_in_two_places();
        play(before);
    }

    fn step_in_user_mode(&self, cpu: usize) -> Result<*mut SavedRegisters, Stop> {
        let delays = self.delays.get();
        if idle::is_due(cpu)
            && !(delays > 1 && self.random.one_in(delays))
            && let Some(trap) = idle::take_interrupt()
        {
            return entry::trap(trap);
        }
        self.programs.turn()
    }

    /// The thread that `cpu` runs.
    pub fn current(&self, cpu: usize) -> Option<Ref<Tcb>> {
        race::without(|| {
            let before = playing();
            play(cpu);
            let current = dispatch::describe_current().map(|(thread, _)| thread);
            play(before);
            current
        })
    }

    /// No thread runs on two CPUs, and one in user mode is its CPU's.
    fn nobody_is_in_two_places(&self) {
        let mut seen: Vec<Ref<Tcb>> = Vec::new();
        for cpu in 0..self.places.len() {
            let thread = self.current(cpu);
            match (self.place(cpu), thread) {
                (Place::User, None) => panic!("cpu{cpu} is in user mode without a thread"),
                (Place::User, Some(thread)) => {
                    assert_eq!(thread.state(), ThreadState::Running, "on cpu{cpu}");
                    assert_eq!(thread.home(), cpu, "thread {}", thread.id);
                    assert!(!seen.iter().any(|other| other.is(&thread)), "thread {}", thread.id);
                    seen.push(thread);
                }
                (Place::Asleep, Some(thread)) => {
                    panic!("cpu{cpu} sleeps with thread {}", thread.id)
                }
                _ => {}
            }
        }
    }

    /// All CPUs sleep: nobody is left who could run.
    fn nobody_is_forgotten(&self) {
        for thread in self.threads.borrow().iter() {
            let waits = match thread.state() {
                ThreadState::Inactive | ThreadState::Blocked | ThreadState::Ended => true,
                ThreadState::Woken | ThreadState::Preempted => thread.is_suspended(),
                ThreadState::Running => false,
            };
            assert!(waits, "thread {} is {:?} while all sleep", thread.id, thread.state());
            assert!(!thread.is_killed() || thread.is_ended(), "thread {} lives on", thread.id);
            let has_its_priority = thread.priority() == thread.due_priority();
            assert!(has_its_priority || thread.is_ended(), "thread {}: a wish", thread.id);
        }
    }
}

impl core::fmt::Debug for Cpus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let places: Vec<Place> = self.places.iter().map(Cell::get).collect();
        let threads = self.threads.borrow();
        let threads: Vec<_> =
            threads.iter().map(|it| (it.id.0, it.state(), it.home(), it.block_reason())).collect();
        f.debug_struct("Cpus").field("places", &places).field("threads", &threads).finish()
    }
}
