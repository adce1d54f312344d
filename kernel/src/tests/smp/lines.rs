//! A line that interrupts on one CPU while another binds, acknowledges, closes or revokes it; at each point of either.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never, Now},
    Error, ExitReason, Rights, Syscall,
};

use super::{
    Kernel, choices, pinned,
    points::{at_every_point, step_with},
    user, with_seeds,
};
use crate::{
    arch::host::{
        clock,
        lines::{FIRST_LEVEL, is_masked, lower, pulse, raise},
    },
    capability::transfer,
    ipc::Binding,
    irq::Interrupt,
    object::Ref,
    process::Process,
    tests::{
        cpus::Place,
        devices,
        kernel::{grant, notification},
    },
};

const EDGE: u8 = 5;
const LEVEL: u8 = FIRST_LEVEL + 1;
const BITS: u64 = 6;

/// A process with a line that is bound to what another one has copied to it. CPU 1 takes its interrupts.
struct Run {
    process: Ref<Process>,
    owner: Ref<Process>,
    interrupt: Ref<Interrupt>,
    word: CapSlot,
    root: CapSlot,
    line: CapSlot,
    /// The last: it wants everything back.
    kernel: Kernel,
}

fn run(cpus: usize, seed: u64, number: u8) -> Run {
    let mut kernel = Kernel::boot_with(cpus, seed);
    let (owner, process) = (kernel.process("owner"), kernel.process("p"));
    let (object, root) = kernel.on(0, || notification(&owner));
    let rights = (Rights::all(), 0);
    let word = transfer::copy(&owner.table, root, rights, &process.table, &process.quota).unwrap();
    let interrupt = Interrupt::new(number.into(), &process.quota).unwrap();
    let line = grant(&process, &interrupt, Rights::MANAGE, 0);
    for process in [&owner, &process] {
        // Threads that do not run keep them.
        pinned(&mut kernel, process, 0, 1, async {});
    }
    let kept = process.keep(word, &process.quota).unwrap();
    let binding = Binding { notification: object, kept, bits: BITS };
    kernel.on(1, || interrupt.bind(Some(binding))).unwrap();
    Run { process, owner, interrupt, word, root, line, kernel }
}

impl Run {
    /// Lets CPU 1 work on something, so that it takes the interrupt in user mode.
    fn busy(&mut self) {
        let thread = pinned(&mut self.kernel, &self.process, 1, 3, async {
            for _ in 0..3 {
                user::work(100).await;
            }
        });
        thread.start().unwrap();
        let cpus = self.kernel.cpus();
        cpus.run_until(1, || cpus.place(1) == Place::User);
    }

    /// What was signalled and not taken.
    fn left(&mut self) -> u64 {
        let left = Rc::new(Cell::new(0));
        let (noted, root) = (left.clone(), self.root);
        let taker = pinned(&mut self.kernel, &self.owner, 0, 9, async move {
            noted.set(user::wait_signal(root, Now).await.unwrap_or(0));
        });
        taker.start().unwrap();
        self.kernel.run_until_idle();
        left.get()
    }
}

/// Plays an interrupt on CPU 1, idle or in user mode, with `deed` at each of its points.
fn against_an_interrupt(deed: impl Fn(&Run) + Copy + 'static, check: impl Fn(&mut Run, u8, usize)) {
    for number in [EDGE, LEVEL] {
        for is_busy in [false, true] {
            at_every_point(|point| {
                let mut run = run(2, 0, number);
                if is_busy {
                    run.busy();
                }
                let cpus = run.kernel.cpus();
                if !is_busy {
                    cpus.run_alone(1);
                }
                raise(number);
                let scene = Rc::new(run);
                let playing = scene.clone();
                let came = step_with(&cpus, 1, point, move || deed(&playing));
                let mut run = Rc::into_inner(scene).expect("the deed is over");
                if !came {
                    deed(&run);
                }
                lower(number);
                run.kernel.run_until_idle();
                check(&mut run, number, point);
                came
            });
        }
    }
}

#[test]
fn an_acknowledgement_meets_every_point_of_an_interrupt() {
    against_an_interrupt(
        |run| run.interrupt.acknowledge().unwrap(),
        |run, number, point| {
            assert_eq!(run.left(), BITS, "point {point}");
            // Whichever was first, with one more it is as after the first.
            run.interrupt.acknowledge().unwrap();
            assert!(!is_masked(number));
            assert_eq!(run.left(), 0, "point {point}");
            raise(number);
            lower(number);
            run.kernel.run_until_idle();
            assert_eq!(run.left(), BITS, "point {point}: it goes on");
        },
    );
}

#[test]
fn unbinding_meets_every_point_of_an_interrupt() {
    let both = Rc::new(Cell::new([0, 0]));
    let seen = both.clone();
    against_an_interrupt(
        |run| run.interrupt.bind(None).unwrap(),
        move |run, number, point| {
            assert!(is_masked(number), "point {point}");
            let left = run.left();
            assert!([0, BITS].contains(&left));
            let mut counts = seen.get();
            counts[usize::from(left > 0)] += 1;
            seen.set(counts);
            pulse(number);
            run.kernel.run_until_idle();
            assert_eq!(run.left(), 0, "point {point}");
        },
    );
    assert!(both.get().iter().all(|count| *count > 0), "both were first: {both:?}");
}

#[test]
fn the_last_close_meets_every_point_of_an_interrupt() {
    against_an_interrupt(
        |run| run.process.close(run.line).unwrap(),
        |run, number, point| {
            assert!(is_masked(number), "point {point}");
            assert_eq!(run.interrupt.acknowledge(), Err(Error::StaleCapability));
            let again = Interrupt::new(number.into(), &run.process.quota);
            assert!(again.is_ok(), "point {point}: it is free");
        },
    );
}

#[test]
fn the_notifications_end_meets_every_point_of_an_interrupt() {
    against_an_interrupt(
        |run| {
            run.process.close(run.word).unwrap();
            run.owner.close(run.root).unwrap();
        },
        |run, number, point| {
            assert!(is_masked(number), "point {point}");
            assert_eq!(run.interrupt.acknowledge(), Err(Error::NotificationGone));
        },
    );
}

/// When the revoke has returned, nothing signals through what it has killed.
#[test]
fn a_revoke_meets_every_point_of_an_interrupt() {
    for number in [EDGE, LEVEL] {
        at_every_point(|point| {
            let mut run = run(2, 0, number);
            let root = run.root;
            let revoker = pinned(&mut run.kernel, &run.owner, 0, 9, async move {
                user::revoke(root).await.unwrap();
                let _ = user::wait_signal(root, Now).await;
            });
            revoker.start().unwrap();
            let cpus = run.kernel.cpus();
            cpus.run_alone(1);
            // On the CPU that revokes, whatever it is about then.
            let came = {
                cpus.at_point(point, move || pulse(number));
                run.kernel.run_until_idle();
                !cpus.has_not_come()
            };
            assert_eq!(revoker.exit_reason(), Some(ExitReason::Exited(0)));
            assert!(is_masked(number), "point {point}");
            assert_eq!(run.interrupt.acknowledge(), Err(Error::NotificationGone));
            pulse(number);
            run.kernel.run_until_idle();
            came
        });
    }
}

/// A binding that begins while the capability to the notification goes is refused, or undone.
#[test]
fn a_binding_meets_every_point_of_a_revoke_and_of_the_end() {
    for revokes in [false, true] {
        let mut outcomes = [0, 0];
        at_every_point(|point| {
            let mut run = run(2, 0, EDGE);
            run.interrupt.bind(None).unwrap();
            let (line, word, root) = (run.line, run.word, run.root);
            let answer = Rc::new(Cell::new(None));
            let noted = answer.clone();
            let binder = pinned(&mut run.kernel, &run.process, 1, 7, async move {
                noted.set(Some(devices::bind(line, word, 1).await));
            });
            binder.start().unwrap();
            let cpus = run.kernel.cpus();
            cpus.run_until(1, || cpus.place(1) == Place::User);
            let (owner, process) = (run.owner.clone(), run.process.clone());
            let revoker = pinned(&mut run.kernel, &run.owner, 0, 9, async move {
                let call = if revokes { Syscall::CapabilityRevoke } else { Syscall::Null };
                user::control(call, [root.bits(), 0, 0, 0]).await.unwrap();
            });
            let (started, others) = (revoker.clone(), cpus.clone());
            let deed = move || {
                started.start().unwrap();
                others.run_alone(0);
                if !revokes {
                    // The one by which it binds, and the last.
                    let _ = process.close(word);
                    owner.close(root).unwrap();
                }
            };
            let came = step_with(&cpus, 1, point, deed);
            if !came {
                revoker.start().unwrap();
                if !revokes {
                    run.process.close(word).unwrap();
                    run.owner.close(root).unwrap();
                }
            }
            run.kernel.run_until_idle();
            let answer = answer.get().expect("it has answered");
            outcomes[usize::from(answer.is_ok())] += 1;
            assert!(is_masked(EDGE), "point {point}: {answer:?}");
            assert_eq!(run.interrupt.acknowledge(), Err(Error::NotificationGone), "point {point}");
            came
        });
        assert!(outcomes.iter().all(|count| *count > 0), "both were first: {outcomes:?}");
    }
}

/// Drivers on all CPUs, a device that interrupts at any time: each time that it wanted something, it is looked at
/// afterwards.
#[test]
fn no_interrupt_is_lost_whoever_is_how_quick() {
    with_seeds(200, |seed| {
        let number = if seed % 2 == 0 { EDGE } else { LEVEL };
        let mut run = run(2 + seed as usize % 3, seed, number);
        run.kernel.cpus().disturb(2 + seed as usize % 7, 1 + seed as usize % 4);
        let random = Rc::new(choices(seed));
        // The device: how much it has to say. As long as that is anything, a level line is active.
        let (asked, wanted) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(0_u64)));
        let (asks, wants, draws) = (asked.clone(), wanted.clone(), random.clone());
        run.kernel.spawn(&run.process, 7, async move {
            for _ in 0..20 {
                user::work(draws.below(20_000) as u64).await;
                asks.set(asks.get() + 1);
                wants.set(wants.get() + 1);
                match number {
                    LEVEL => raise(number),
                    _ => pulse(number),
                }
            }
        });
        let (line, word) = (run.line, run.word);
        let (seen, taken) = (asked.clone(), wanted.clone());
        let driver = run.kernel.spawn(&run.process, 8, async move {
            let mut handled = 0;
            while handled < 20 {
                assert_eq!(user::wait_signal(word, Never).await, Ok(BITS));
                if random.one_in(2) {
                    user::work(random.below(5_000) as u64).await;
                }
                let acknowledges_first = number == EDGE && random.one_in(2);
                if acknowledges_first {
                    devices::acknowledge(line).await.unwrap();
                }
                handled += taken.replace(0);
                lower(number);
                if !acknowledges_first {
                    devices::acknowledge(line).await.unwrap();
                }
            }
            assert_eq!(handled, seen.get());
        });
        run.kernel.run_until_idle();
        assert_eq!(driver.exit_reason(), Some(ExitReason::Exited(0)), "it waits for ever");
    });
}

/// Whatever is done to a line by anybody while it interrupts: it ends, and everything is given back.
#[test]
fn lines_end_wherever_they_are() {
    with_seeds(200, |seed| {
        let number = if seed % 2 == 0 { EDGE } else { LEVEL };
        let mut run = run(2 + seed as usize % 3, seed, number);
        run.kernel.cpus().disturb(1 + seed as usize % 5, 1 + seed as usize % 4);
        let random = Rc::new(choices(seed));
        for hand in 0..4 {
            let (random, line, word) = (random.clone(), run.line, run.word);
            run.kernel.spawn(&run.process, 7, async move {
                for _ in 0..12 {
                    match random.below(6) {
                        0 => drop(devices::unbind(line).await),
                        1 => drop(devices::bind(line, word, 1 << random.below(64)).await),
                        2 | 3 => drop(devices::acknowledge(line).await),
                        4 => raise(number),
                        _ => lower(number),
                    }
                    let until = clock::nanoseconds() + random.below(30_000) as u64;
                    let _ = user::wait_signal(word, At(until)).await;
                    user::work(random.below(10_000) as u64).await;
                }
                if hand == 0 {
                    user::close(line).await.unwrap();
                }
            });
        }
        let (root, random) = (run.root, random.clone());
        run.kernel.spawn(&run.owner, 9, async move {
            user::work(random.below(300_000) as u64).await;
            user::revoke(root).await.unwrap();
        });
        run.kernel.run_until_idle();
        lower(number);
        assert!(is_masked(number));
    });
}
