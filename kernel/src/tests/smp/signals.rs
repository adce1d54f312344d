//! Signals from other CPUs against everything that can happen to those who wait for them: none is lost,
//! and none comes twice.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never, Now},
    Error, ExitReason,
};

use super::{
    Kernel, pinned,
    points::{at_every_point, step_with},
    user, with_seeds,
};
use crate::{
    arch::host::clock,
    ipc::Notification,
    object::Ref,
    process::Process,
    tests::{cpus::Place, kernel::notification},
    thread::{Tcb, state::ThreadState},
};

/// What a program was given.
type Given = Rc<Cell<Option<Result<u64, Error>>>>;

/// A thread of CPU 1 that waits for signals once.
fn waiter(
    kernel: &mut Kernel,
    process: &Ref<Process>,
    slot: CapSlot,
    deadline: orbital_abi::Deadline,
) -> (Ref<Tcb>, Given) {
    let given = Given::default();
    let noted = given.clone();
    let thread = pinned(kernel, process, 1, 7, async move {
        noted.set(Some(user::wait_signal(slot, deadline).await));
    });
    thread.start().unwrap();
    (thread, given)
}

/// The signals that nobody has taken.
fn left(kernel: &mut Kernel, process: &Ref<Process>, slot: CapSlot) -> u64 {
    let left = Rc::new(Cell::new(0));
    let noted = left.clone();
    let taker = pinned(kernel, process, 0, 9, async move {
        noted.set(user::wait_signal(slot, Now).await.unwrap_or(0));
    });
    taker.start().unwrap();
    kernel.run_until_idle();
    left.get()
}

struct Run {
    process: Ref<Process>,
    notification: Ref<Notification>,
    slot: CapSlot,
    /// The last: it wants everything back.
    kernel: Kernel,
}

fn run() -> Run {
    let kernel = Kernel::boot_with(2, 0);
    let process = kernel.process("p");
    let (notification, slot) = notification(&process);
    Run { kernel, process, notification, slot }
}

/// The process keeps its capabilities while it has a thread.
fn keep(run: &mut Run) {
    let process = run.process.clone();
    pinned(&mut run.kernel, &process, 0, 1, async {});
}

#[test]
fn a_signal_meets_every_point_of_a_wait() {
    at_every_point(|point| {
        let mut run = run();
        let cpus = run.kernel.cpus();
        let (thread, given) = waiter(&mut run.kernel, &run.process, run.slot, Never);
        cpus.run_until(1, || cpus.place(1) == Place::User);
        let signalled = run.notification.clone();
        let came = step_with(&cpus, 1, point, move || signalled.signal(6).unwrap());
        if came {
            run.kernel.run_until_idle();
            assert_eq!(given.get(), Some(Ok(6)), "point {point}");
            assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
        }
        came
    });
}

/// Both meet at every point of the step in which the deadline ends the wait.
#[test]
fn a_signal_meets_every_point_of_a_deadline() {
    let mut outcomes = [0, 0];
    at_every_point(|point| {
        let mut run = run();
        keep(&mut run);
        let cpus = run.kernel.cpus();
        let deadline = clock::nanoseconds() + 1000;
        let (thread, given) = waiter(&mut run.kernel, &run.process, run.slot, At(deadline));
        cpus.run_until(1, || {
            thread.state() == ThreadState::Blocked && cpus.place(1) == Place::Asleep
        });
        clock::advance(2000);
        let signalled = run.notification.clone();
        let came = step_with(&cpus, 1, point, move || signalled.signal(6).unwrap());
        if !came {
            run.notification.signal(6).unwrap();
        }
        run.kernel.run_until_idle();
        let left = left(&mut run.kernel, &run.process, run.slot);
        match given.get() {
            Some(Ok(6)) => assert_eq!(left, 0, "point {point}"),
            Some(Err(Error::TimedOut)) => assert_eq!(left, 6, "point {point}"),
            other => panic!("point {point}: {other:?}"),
        }
        outcomes[usize::from(left == 0)] += 1;
        came
    });
    assert!(outcomes.iter().all(|count| *count > 0), "both were first: {outcomes:?}");
}

/// A kill at every point of the steps in which a signal is sent and taken: the bits are seen by the
/// program or left in the word, never both, and never lost.
#[test]
fn a_kill_meets_every_point_of_a_signal() {
    let mut outcomes = [0, 0];
    for cpu in [0, 1] {
        at_every_point(|point| {
            let mut run = run();
            keep(&mut run);
            let cpus = run.kernel.cpus();
            let (victim, given) = waiter(&mut run.kernel, &run.process, run.slot, Never);
            run.kernel.run_until_idle();
            let slot = run.slot;
            let signaller = pinned(&mut run.kernel, &run.process, 0, 7, async move {
                user::signal(slot, 6).await.unwrap();
            });
            signaller.start().unwrap();
            cpus.run_until(0, || cpus.place(0) == Place::User);
            if cpu == 1 {
                // The signal has chosen it, and its CPU is about to look.
                cpus.run_until(0, || signaller.is_ended());
            }
            let killed = victim.clone();
            let came = step_with(&cpus, cpu, point, move || {
                killed.kill();
            });
            run.kernel.run_until_idle();
            let left = left(&mut run.kernel, &run.process, run.slot);
            let seen = given.get() == Some(Ok(6));
            // Or it had come back from its call, and had not done anything yet.
            let had = victim.is_ended() && victim.take_back_signals() == 6;
            assert_eq!(left == 6, !(seen || had), "cpu{cpu}, point {point}: {left}");
            outcomes[usize::from(left == 6)] += 1;
            came
        });
    }
    assert!(outcomes.iter().all(|count| *count > 0), "both were first: {outcomes:?}");
}

#[test]
fn a_signal_meets_every_point_of_a_kill() {
    at_every_point(|point| {
        let mut run = run();
        keep(&mut run);
        let cpus = run.kernel.cpus();
        let (victim, given) = waiter(&mut run.kernel, &run.process, run.slot, Never);
        run.kernel.run_until_idle();
        victim.kill();
        let signalled = run.notification.clone();
        let came = step_with(&cpus, 1, point, move || signalled.signal(6).unwrap());
        if !came {
            run.notification.signal(6).unwrap();
        }
        run.kernel.run_until_idle();
        assert_eq!((victim.exit_reason(), given.get()), (Some(ExitReason::Killed), None));
        assert_eq!(left(&mut run.kernel, &run.process, run.slot), 6, "point {point}");
        came
    });
}

#[test]
fn the_last_close_meets_every_point_of_a_wait() {
    at_every_point(|point| {
        let mut run = run();
        let cpus = run.kernel.cpus();
        let (thread, given) = waiter(&mut run.kernel, &run.process, run.slot, Never);
        cpus.run_until(1, || cpus.place(1) == Place::User);
        let (process, slot) = (run.process.clone(), run.slot);
        let came = step_with(&cpus, 1, point, move || process.close(slot).unwrap());
        if came {
            run.kernel.run_until_idle();
            assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)), "point {point}");
            let told = [Error::NotificationGone, Error::StaleCapability];
            assert!(matches!(given.get(), Some(Err(error)) if told.contains(&error)), "{given:?}");
        }
        came
    });
}

#[test]
fn signals_of_all_cpus_are_each_taken_once() {
    with_seeds(200, |seed| {
        let mut kernel = Kernel::boot_with(2 + seed as usize % 3, seed);
        kernel.cpus().disturb(2 + seed as usize % 7, 1 + seed as usize % 4);
        let process = kernel.process("p");
        let (_, slot) = notification(&process);
        // How often each bit was taken; each is signalled once.
        let seen = Rc::new(RefCell::new([0; 64]));
        for taker in 0..3 {
            let seen = seen.clone();
            kernel.spawn(&process, 7, async move {
                while seen.borrow().iter().sum::<u32>() < 64 {
                    let deadline = match taker {
                        0 => Now,
                        _ => At(clock::nanoseconds() + 20_000),
                    };
                    match user::wait_signal(slot, deadline).await {
                        Ok(bits) => {
                            let set = (0..64).filter(|bit| bits >> bit & 1 != 0);
                            set.for_each(|bit| seen.borrow_mut()[bit] += 1);
                        }
                        Err(_) => user::work(5_000).await,
                    }
                }
            });
        }
        for sender in 0..4 {
            kernel.spawn(&process, 7, async move {
                for bit in 0..16 {
                    user::signal(slot, 1 << (sender * 16 + bit)).await.unwrap();
                    if bit % 4 == 0 {
                        user::work(3_000).await;
                    }
                }
            });
        }
        kernel.run_until_idle();
        assert_eq!(*seen.borrow(), [1; 64]);
    });
}

/// Threads that are killed while they wait or were just chosen take no signal with them.
#[test]
fn kills_lose_no_signal() {
    with_seeds(300, |seed| {
        let mut kernel = Kernel::boot_with(2 + seed as usize % 3, seed);
        kernel.cpus().disturb(1 + seed as usize % 5, 1 + seed as usize % 4);
        let (process, killers) = (kernel.process("p"), kernel.process("killers"));
        let (_, slot) = notification(&process);
        let seen = Rc::new(Cell::new(0_u64));
        let take = |seen: &Rc<Cell<u64>>, bits: u64| {
            assert_eq!(seen.get() & bits, 0, "twice");
            seen.set(seen.get() | bits);
        };
        let victims: Vec<_> = (0..5)
            .map(|_| {
                let (seen, dies) = (seen.clone(), Rc::new(Cell::new(false)));
                let is_told = dies.clone();
                let victim = kernel.spawn(&process, 7, async move {
                    loop {
                        let bits = user::wait_signal(slot, Never).await.unwrap();
                        take(&seen, bits);
                        // It may be a while until its CPU hears of it: what another call gave it would be its own.
                        while dies.get() {
                            user::work(100).await;
                        }
                    }
                });
                (victim, is_told)
            })
            .collect();
        let ended: Vec<_> = victims.iter().map(|(victim, _)| victim.clone()).collect();
        let dead = ended.clone();
        kernel.spawn(&killers, 7, async move {
            for (victim, dies) in victims {
                user::work(2000).await;
                user::give_way().await;
                // In its call: afterwards the bits are its own, though it may not have noted them.
                while !matches!(victim.state(), ThreadState::Blocked | ThreadState::Woken) {
                    user::work(100).await;
                    user::give_way().await;
                }
                dies.set(true);
                victim.kill();
            }
        });
        let (sent, seen_at_last) = (Rc::new(Cell::new(0_u64)), seen.clone());
        let sends = sent.clone();
        let sender = kernel.spawn(&process, 7, async move {
            for bit in 0..20 {
                user::signal(slot, 1 << bit).await.unwrap();
                sends.set(sends.get() | 1 << bit);
                user::work(500).await;
            }
            // Until all victims have come to their end.
            while !dead.iter().all(|victim| victim.is_ended()) {
                user::work(1000).await;
                user::give_way().await;
            }
            if let Ok(bits) = user::wait_signal(slot, Now).await {
                take(&seen_at_last, bits);
            }
        });
        kernel.run_until_idle();
        assert_eq!(sender.exit_reason(), Some(ExitReason::Exited(0)));
        // Some came back from their call just then.
        let had = ended.iter().fold(0, |had, victim| had | victim.take_back_signals());
        assert_eq!(sent.get() & !seen.get() & !had, 0, "{:#b}", seen.get());
    });
}
