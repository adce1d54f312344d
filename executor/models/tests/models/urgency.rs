//! A remote wake against the idle check: the CPU publishes that it rests, checks its queue, and
//! rests by `sti; hlt`, which is one step: an interrupt that is pending ends it at once, and one that
//! comes later ends it then. So it rests for ever exactly if there is no interrupt in the end.

use std::{future::poll_fn, task::Poll};

use executor_loom::{
    executor::{Executor, Owner, Task},
    planted::Bug,
    timer::TimerQueue,
    urgency::{IDLE, Urgency},
};
use loom::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    by_hand::ByHand,
    explore::{Model, model, with_static},
};

/// A CPU.
struct Cpu {
    executor: Executor,
    timers: TimerQueue,
    urgency: Urgency,
    /// The interrupt that others send. Only what it does counts, not what it publishes.
    interrupt: AtomicUsize,
    kicks: AtomicUsize,
    events: [AtomicUsize; 2],
}

/// Urgency of what is woken.
const URGENT: usize = 3;

impl Cpu {
    fn new() -> Self {
        Self {
            executor: Executor::with(Some(Self::tell), None),
            timers: TimerQueue::with(Some(Self::tell)),
            urgency: Urgency::new(),
            interrupt: AtomicUsize::new(0),
            kicks: AtomicUsize::new(0),
            events: [0, 0].map(AtomicUsize::new),
        }
    }

    /// Its number is its address.
    fn number(&'static self) -> usize {
        std::ptr::from_ref(self).expose_provenance()
    }

    fn tell(number: usize, _: usize) {
        // SAFETY: `number` was made of a CPU that lives as long as the model runs.
        let cpu = unsafe { &*std::ptr::with_exposed_provenance::<Self>(number) };
        if cpu.urgency.must_kick(URGENT) {
            cpu.kicks.fetch_add(1, Ordering::Relaxed);
            cpu.interrupt.swap(1, Ordering::Relaxed);
        }
    }

    /// `sti; hlt`: whether an interrupt ended it.
    fn halt(&self) -> bool {
        self.interrupt.swap(0, Ordering::Relaxed) == 1
    }

    /// Polls until it rests, and rests until nothing ends that. Whether it does rest.
    fn run(&'static self, owner: Owner) -> bool {
        for _ in 0..2 {
            while owner.poll_ready(1) == 1 {}
            if self.urgency.settle(IDLE, || !owner.has_work()) {
                if !self.halt() {
                    return true;
                }
                self.urgency.look_out();
            }
        }
        false
    }
}

/// As many others as given announce an event and wake, while the CPU polls the task and goes to rest.
fn no_wake_is_left_unseen(wakers: usize) {
    let run = |cpu: &'static Cpu| {
        let owner = cpu.executor.claim(cpu.number()).unwrap();
        let place = std::rc::Rc::new(std::cell::RefCell::new(None));
        let leaving = place.clone();
        let handle = owner.spawn(Box::pin(Task::new(poll_fn(move |context| {
            leaving.replace(Some(context.waker().clone()));
            let has_come = |event: &AtomicUsize| event.load(Ordering::Relaxed) == 1;
            if cpu.events[..wakers].iter().all(has_come) { Poll::Ready(()) } else { Poll::Pending }
        }))));
        owner.poll_ready(1);
        let others: Vec<_> = (0..wakers)
            .map(|number| {
                let waker = place.borrow().clone().unwrap();
                thread::spawn(move || {
                    cpu.events[number].store(1, Ordering::Relaxed);
                    waker.wake();
                })
            })
            .collect();
        let rests = cpu.run(owner);
        for other in others {
            other.join().unwrap();
        }
        let is_woken = cpu.halt();
        assert!(!rests || is_woken || !owner.has_work(), "it rests on in spite of work");
        // Woken while it rested: it looks again.
        while owner.poll_ready(1) == 1 {}
        assert!(handle.is_done(), "a wake is lost");
        place.take();
    };
    // SAFETY: the threads are joined, the task is done, and no waker is left.
    unsafe { with_static(Cpu::new(), run) };
}

/// The CPU goes on to something less urgent than what is woken, or more, while it is woken twice.
fn it_is_kicked_once_and_for_urgent_work_alone(level: usize) {
    let run = |cpu: &'static Cpu| {
        // The CPU's number is claimed, and what is pushed is a timer that nobody waits for.
        assert!(cpu.timers.claim(cpu.number()));
        let wakers = [20, 10].map(|deadline| {
            thread::spawn(move || {
                let mut sleeper = ByHand::new(Box::pin(cpu.timers.sleep_until(deadline)));
                sleeper.poll();
                drop(sleeper);
            })
        });
        let settled = cpu.urgency.settle(level, || true);
        assert!(settled);
        for waker in wakers {
            waker.join().unwrap();
        }
        let kicks = cpu.kicks.load(Ordering::Relaxed);
        assert!(kicks == 0 || level < URGENT, "kicked for what is not urgent");
        assert!(kicks <= 1, "kicked more than once");
    };
    // SAFETY: the threads are joined, and the timers are dropped.
    unsafe { with_static(Cpu::new(), run) };
}

/// Another CPU arms a timer, while this one goes to rest until the deadline that it knows.
fn no_deadline_is_overslept() {
    let run = |cpu: &'static Cpu| {
        assert!(cpu.timers.claim(cpu.number()));
        let mut late = ByHand::new(Box::pin(cpu.timers.sleep_until(100)));
        late.poll();
        let other = thread::spawn(|| {
            let mut early = ByHand::new(Box::pin(cpu.timers.sleep_until(10)));
            early.poll();
            early
        });
        let mut rests_until = None;
        for _ in 0..2 {
            let armed = cpu.timers.next_deadline();
            if cpu.urgency.settle(IDLE, || cpu.timers.next_deadline() == armed) {
                rests_until = (!cpu.halt()).then_some(armed);
                if rests_until.is_some() {
                    break;
                }
            }
            cpu.urgency.look_out();
        }
        let early = other.join().unwrap();
        let is_woken = cpu.halt();
        assert!(is_woken || rests_until.is_none_or(|until| until == 10), "it oversleeps");
        drop((early, late));
    };
    // SAFETY: the thread is joined, and the timers are dropped.
    unsafe { with_static(Cpu::new(), run) };
}

pub fn models() -> Vec<Model> {
    const RESTS: &str = "it rests on in spite of work";
    [
        model(
            "a remote wake against the idle check and sti; hlt",
            || no_wake_is_left_unseen(1),
            &[
                (Bug::UrgencyChecksFirst, RESTS),
                (Bug::UrgencyStores, RESTS),
                (Bug::KickBeforePush, RESTS),
            ],
        ),
        model(
            "two remote wakes against the idle check and sti; hlt",
            || no_wake_is_left_unseen(2),
            &[
                (Bug::UrgencyChecksFirst, RESTS),
                (Bug::UrgencyStores, RESTS),
                (Bug::KickBeforePush, RESTS),
            ],
        ),
        model(
            "two remote wakes of something urgent: at most one of them kicks",
            || it_is_kicked_once_and_for_urgent_work_alone(URGENT - 1),
            &[(Bug::KickUnclaimed, "kicked more than once")],
        ),
        model(
            "two remote wakes of something less urgent: none of them kicks",
            || it_is_kicked_once_and_for_urgent_work_alone(URGENT),
            &[(Bug::KickAlways, "kicked for what is not urgent")],
        ),
        model(
            "a remote timer against the idle check and sti; hlt",
            no_deadline_is_overslept,
            &[(Bug::TimerStores, "it oversleeps"), (Bug::UrgencyStores, "it oversleeps")],
        ),
    ]
    .concat()
}
