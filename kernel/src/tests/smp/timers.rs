//! Timers that are set, fire and are closed on several CPUs at once.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never, Now},
    Error, ExitReason, Rights,
    arguments::LEAST_PERIOD_NS,
};

use super::{
    Kernel, choices, pinned,
    points::{at_every_point, step_with},
    user, with_seeds,
};
use crate::{
    arch::host::clock,
    ipc::Timer,
    object::Ref,
    process::Process,
    tests::{
        cpus::Place,
        kernel::{grant, notification},
    },
};

const DISARMED: u64 = u64::MAX;

/// A process with a timer that signals 6, and the slots of both.
struct Run {
    process: Ref<Process>,
    timer: Ref<Timer>,
    word: CapSlot,
    slot: CapSlot,
    /// The last: it wants everything back.
    kernel: Kernel,
}

fn run(cpus: usize, seed: u64) -> Run {
    let kernel = Kernel::boot_with(cpus, seed);
    let process = kernel.process("p");
    let (notification, word) = notification(&process);
    let timer = Timer::new((notification, None), 6, &process.quota).unwrap();
    let slot = grant(&process, &timer, Rights::MANAGE, 0);
    Run { kernel, process, timer, word, slot }
}

impl Run {
    /// A thread of `cpu` sets the timer and ends; another one keeps the process.
    fn set_on(&mut self, cpu: usize, deadline: u64, period: u64) {
        let slot = self.slot;
        pinned(&mut self.kernel, &self.process, cpu, 1, async {});
        let setter = pinned(&mut self.kernel, &self.process, cpu, 7, async move {
            user::set_timer(slot, deadline, period).await.unwrap();
        });
        setter.start().unwrap();
        let cpus = self.kernel.cpus();
        cpus.run_until(cpu, || setter.is_ended() && cpus.place(cpu) == Place::Asleep);
    }

    /// What was signalled and not taken.
    fn left(&mut self) -> u64 {
        let left = Rc::new(Cell::new(0));
        let (noted, word) = (left.clone(), self.word);
        let taker = pinned(&mut self.kernel, &self.process, 0, 9, async move {
            noted.set(user::wait_signal(word, Now).await.unwrap_or(0));
        });
        taker.start().unwrap();
        let cpus = self.kernel.cpus();
        cpus.run_until(0, || taker.is_ended());
        left.get()
    }
}

/// Whoever disarms learns whether it has fired: then the signal is there, else it never comes.
#[test]
fn disarming_meets_every_point_of_firing() {
    for period in [0, LEAST_PERIOD_NS] {
        let mut outcomes = [0, 0];
        at_every_point(|point| {
            let mut run = run(2, 0);
            let deadline = clock::nanoseconds() + 1000;
            run.set_on(1, deadline, period);
            clock::advance(2000);
            let (timer, before) = (run.timer.clone(), Rc::new(Cell::new(None)));
            let noted = before.clone();
            let cpus = run.kernel.cpus();
            let came = step_with(&cpus, 1, point, move || {
                noted.set(Some(timer.set(DISARMED, 0).unwrap()));
            });
            if !came {
                before.set(Some(run.timer.set(DISARMED, 0).unwrap()));
            }
            run.kernel.run_until_idle();
            let fired = before.get() != Some(deadline);
            let next = if period == 0 { DISARMED } else { deadline + period };
            assert!(!fired || before.get() == Some(next), "point {point}: {before:?}");
            assert_eq!(run.left(), if fired { 6 } else { 0 }, "point {point}");
            outcomes[usize::from(fired)] += 1;
            came
        });
        assert!(outcomes.iter().all(|count| *count > 0), "both were first: {outcomes:?}");
    }
}

/// The fixture finds a timer that stays: armed for ever, or kept by a waker.
#[test]
fn the_last_close_meets_every_point_of_firing() {
    for period in [0, LEAST_PERIOD_NS] {
        at_every_point(|point| {
            let mut run = run(2, 0);
            run.set_on(1, clock::nanoseconds() + 1000, period);
            clock::advance(2000);
            let (process, slot) = (run.process.clone(), run.slot);
            let cpus = run.kernel.cpus();
            let came = step_with(&cpus, 1, point, move || process.close(slot).unwrap());
            if !came {
                run.process.close(run.slot).unwrap();
            }
            run.kernel.run_until_idle();
            assert!([0, 6].contains(&run.left()));
            assert_eq!(run.timer.set(0, 0), Err(Error::StaleCapability));
            run.kernel.run_until_idle();
            assert_eq!(run.left(), 0, "point {point}: it is closed");
            came
        });
    }
}

#[test]
fn the_last_close_meets_every_point_of_a_setting() {
    for wait in [0, 1000] {
        at_every_point(|point| {
            let mut run = run(2, 0);
            let slot = run.slot;
            pinned(&mut run.kernel, &run.process, 0, 1, async {});
            let answer = Rc::new(Cell::new(None));
            let noted = answer.clone();
            let setter = pinned(&mut run.kernel, &run.process, 1, 7, async move {
                let deadline = clock::nanoseconds() + wait;
                noted.set(Some(user::set_timer(slot, deadline, LEAST_PERIOD_NS).await));
            });
            setter.start().unwrap();
            let cpus = run.kernel.cpus();
            cpus.run_until(1, || cpus.place(1) == Place::User);
            let process = run.process.clone();
            let came = step_with(&cpus, 1, point, move || process.close(slot).unwrap());
            if !came {
                run.process.close(slot).unwrap();
            }
            // It does not end while a timer goes on.
            run.kernel.run_until_idle();
            let answer = answer.get();
            let expected = [Ok(DISARMED), Err(Error::StaleCapability)];
            assert!(answer.is_some_and(|answer| expected.contains(&answer)), "{answer:?}");
            came
        });
    }
}

#[test]
fn a_timer_fires_on_time_though_its_setter_has_moved() {
    for wait in [0, 1, 1_000, 50_000_000] {
        let mut run = run(3, 0);
        let (word, slot) = (run.word, run.slot);
        let deadline = clock::nanoseconds() + 100_000 + wait;
        let thread = pinned(&mut run.kernel, &run.process, 1, 7, async move {
            user::set_timer(slot, deadline, 0).await.unwrap();
            // Until it has moved.
            user::control(
                orbital_abi::Syscall::ThreadSleep,
                [50_000 + deadline - wait - 100_000, 0, 0, 0],
            )
            .await
            .unwrap();
            assert_eq!(user::wait_signal(word, Never).await, Ok(6));
            assert_eq!(clock::nanoseconds(), deadline);
        });
        thread.start().unwrap();
        let cpus = run.kernel.cpus();
        cpus.run_until(1, || cpus.place(1) == Place::Asleep);
        thread.ask_affinity(0b100);
        run.kernel.run_until_idle();
        assert_eq!((thread.home(), thread.exit_reason()), (2, Some(ExitReason::Exited(0))));
    }
}

/// Set on one CPU and then on another: the last setting counts, sooner or later than the first.
#[test]
fn a_setting_on_another_cpu_replaces_and_is_on_time() {
    for (first, second) in [(1_000, 9_000), (9_000, 1_000), (DISARMED, 500), (700, 700)] {
        let mut run = run(3, 0);
        let now = clock::nanoseconds();
        let at = |wait: u64| now.saturating_add(wait);
        run.set_on(1, at(first), 0);
        run.set_on(2, at(second), 0);
        let word = run.word;
        let waiter = pinned(&mut run.kernel, &run.process, 0, 7, async move {
            assert_eq!(user::wait_signal(word, Never).await, Ok(6));
            assert_eq!(clock::nanoseconds(), now + second);
            let late = clock::nanoseconds() + 100_000;
            assert_eq!(user::wait_signal(word, At(late)).await, Err(Error::TimedOut));
        });
        waiter.start().unwrap();
        run.kernel.run_until_idle();
        assert_eq!(waiter.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

/// Of all settings of several CPUs each fires once or is replaced, and whoever replaced it knows which.
#[test]
fn settings_of_all_cpus_fire_once_or_are_replaced() {
    with_seeds(300, |seed| {
        let mut run = run(2 + seed as usize % 3, seed);
        run.kernel.cpus().disturb(2 + seed as usize % 7, 1 + seed as usize % 4);
        let random = Rc::new(choices(seed));
        let (word, slot) = (run.word, run.slot);
        let (armed, replaced) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let setters: Vec<_> = (0..3)
            .map(|_| {
                let (random, armed, replaced) = (random.clone(), armed.clone(), replaced.clone());
                run.kernel.spawn(&run.process, 7, async move {
                    for _ in 0..8 {
                        let wait = random.below(30_000) as u64;
                        armed.set(armed.get() + 1);
                        let deadline = clock::nanoseconds() + wait;
                        let before = user::set_timer(slot, deadline, 0).await.unwrap();
                        replaced.set(replaced.get() + u64::from(before != DISARMED));
                        user::work(random.below(20_000) as u64).await;
                    }
                })
            })
            .collect();
        let taken = Rc::new(Cell::new(0));
        let (takes, replaces) = (taken.clone(), replaced.clone());
        let taker = run.kernel.spawn(&run.process, 7, async move {
            while setters.iter().any(|setter| !setter.is_ended()) {
                let until = clock::nanoseconds() + 10_000;
                takes
                    .set(takes.get() + u64::from(user::wait_signal(word, At(until)).await.is_ok()));
            }
            // The last one may still be to come, though its time has passed: on another CPU.
            user::work(100_000).await;
            let before = user::set_timer(slot, DISARMED, 0).await.unwrap();
            replaces.set(replaces.get() + u64::from(before != DISARMED));
            takes.set(takes.get() + u64::from(user::wait_signal(word, Now).await.is_ok()));
            let late = clock::nanoseconds() + 1_000_000;
            assert_eq!(user::wait_signal(word, At(late)).await, Err(Error::TimedOut));
        });
        run.kernel.run_until_idle();
        assert_eq!(taker.exit_reason(), Some(ExitReason::Exited(0)));
        let fired = armed.get() - replaced.get();
        assert!(
            (fired.min(1)..=fired).contains(&taken.get()),
            "{fired} fired, {} taken",
            taken.get()
        );
    });
}

/// Periodic timers that are set, disarmed and closed anywhere: everything comes to its end, and the fixture
/// finds everything given back.
#[test]
fn periodic_timers_end_wherever_they_are() {
    with_seeds(200, |seed| {
        let mut run = run(2 + seed as usize % 3, seed);
        run.kernel.cpus().disturb(1 + seed as usize % 5, 1 + seed as usize % 4);
        let random = Rc::new(choices(seed));
        let (word, slot) = (run.word, run.slot);
        for _ in 0..4 {
            let random = random.clone();
            run.kernel.spawn(&run.process, 7, async move {
                for _ in 0..6 {
                    let own = user::timer(word, 1 << random.below(64)).await.unwrap();
                    for timer in [own, slot] {
                        let deadline = clock::nanoseconds() + random.below(300_000) as u64;
                        user::set_timer(timer, deadline, LEAST_PERIOD_NS).await.unwrap();
                    }
                    let until = clock::nanoseconds() + random.below(400_000) as u64;
                    let _ = user::wait_signal(word, At(until)).await;
                    user::work(random.below(50_000) as u64).await;
                    user::close(own).await.unwrap();
                }
            });
        }
        run.kernel.run_until_idle();
        assert!(run.process.exit_reason().is_some());
    });
}
