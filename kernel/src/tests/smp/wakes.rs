//! Wakes from other CPUs: who is kicked, who need not be, and where threads go when a CPU sleeps.
#![forbid(unsafe_code)]

use orbital_abi::{Deadline::Never, ExitReason};

use super::{Kernel, pinned, spin, user, with_seeds};
use crate::{
    arch::host::{Stop, idle},
    tests::{cpus::Place, kernel::endpoint},
    thread::state::ThreadState,
};

#[test]
fn a_sleeping_cpu_is_kicked_once_for_a_thread_of_its_own() {
    let mut kernel = Kernel::boot_with(2, 0);
    let process = kernel.process("p");
    let (_, slot) = endpoint(&process);
    let receiver = pinned(&mut kernel, &process, 1, 7, async move {
        for _ in 0..3 {
            user::receive(slot, Never).await.unwrap();
        }
    });
    receiver.start().unwrap();
    assert_eq!(kernel.run(), Stop::Idle);
    let cpus = kernel.cpus();
    for round in 1..=3 {
        let kicks = idle::kicks(1);
        let sender = pinned(&mut kernel, &process, 0, 7, async move {
            user::send(slot, user::message(1, &[]), Never).await.unwrap();
        });
        sender.start().unwrap();
        cpus.step(0);
        cpus.run_alone(0);
        assert!(sender.is_ended());
        assert_eq!(idle::kicks(1), kicks + 1, "round {round}");
        assert_eq!(receiver.state(), ThreadState::Blocked, "its own CPU wakes it");
        cpus.run_alone(1);
        assert_eq!(receiver.is_ended(), round == 3);
    }
}

#[test]
fn only_a_wake_that_is_urgent_enough_kicks_a_cpu_that_runs() {
    for (priority, kicked) in [(19, false), (20, true), (21, true)] {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        for cpu in [0, 1] {
            pinned(&mut kernel, &process, cpu, 20, spin()).start().unwrap();
            cpus.run_until(cpu, || cpus.place(cpu) == Place::User);
        }
        let woken = pinned(&mut kernel, &process, 1, priority, spin());
        let others = pinned(&mut kernel, &process, 1, priority, spin());
        // They were pinned, which is a request.
        cpus.step(1);
        assert_eq!(cpus.place(1), Place::User);
        let kicks = idle::kicks(1);
        woken.start().unwrap();
        others.start().unwrap();
        assert_eq!(idle::kicks(1) - kicks, u64::from(kicked), "{priority}: one of both, if any");
        // The kick comes before the next instruction; without one a more urgent thread runs on.
        cpus.step(1);
        assert_eq!(woken.state() == ThreadState::Running, priority == 21);
    }
}

#[test]
fn a_cpu_that_is_in_the_kernel_is_not_kicked() {
    let mut kernel = Kernel::boot_with(2, 0);
    let process = kernel.process("p");
    let thread = pinned(&mut kernel, &process, 1, 7, async {});
    // It has not looked at its queues yet.
    thread.start().unwrap();
    assert_eq!(idle::kicks(1), 0);
    kernel.run_until_idle();
    assert!(thread.is_ended());
}

#[test]
fn threads_that_wait_go_to_a_cpu_that_sleeps() {
    let mut kernel = Kernel::boot_with(4, 0);
    let cpus = kernel.cpus();
    kernel.run_until_idle();
    let process = kernel.process("p");
    let threads: Vec<_> = (0..4).map(|_| kernel.spawn(&process, 7, spin())).collect();
    cpus.run_until(0, || cpus.place(0) == Place::User);
    for cpu in 1..4 {
        assert!(cpus.can_go_on(cpu), "cpu{cpu} was told");
        cpus.run_until(cpu, || cpus.place(cpu) == Place::User);
    }
    let running = threads.iter().filter(|thread| thread.state() == ThreadState::Running);
    assert_eq!(running.count(), 4, "{cpus:?}");
}

#[test]
fn a_cpu_that_falls_asleep_asks_who_has_threads_waiting() {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let busy = pinned(&mut kernel, &process, 1, 7, async { user::work(1000).await });
    busy.start().unwrap();
    cpus.run_until(1, || cpus.place(1) == Place::User);
    for _ in 0..2 {
        kernel.spawn(&process, 7, spin());
    }
    cpus.run_until(0, || cpus.place(0) == Place::User);
    let kicks = idle::kicks(0);
    while cpus.place(1) != Place::Asleep {
        cpus.step(1);
    }
    assert_eq!(idle::kicks(0), kicks + 1);
    cpus.step(0);
    cpus.run_until(1, || cpus.place(1) == Place::User);
    assert_eq!(cpus.current(0).map(|it| it.home()), Some(0));
    assert_eq!(cpus.current(1).map(|it| it.home()), Some(1));
}

#[test]
fn a_thread_that_was_woken_without_a_kick_is_found_by_a_cpu_that_falls_asleep() {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let (_, slot) = endpoint(&process);
    let woken = pinned(&mut kernel, &process, 1, 7, async move {
        user::receive(slot, Never).await.unwrap();
    });
    woken.start().unwrap();
    kernel.run_until_idle();
    woken.ask_affinity(u64::MAX);
    let hog = pinned(&mut kernel, &process, 1, 20, spin());
    hog.start().unwrap();
    cpus.run_until(1, || cpus.place(1) == Place::User && !idle::is_due(1));
    let waker = pinned(&mut kernel, &process, 0, 20, async move {
        user::send(slot, user::message(1, &[]), Never).await.unwrap();
    });
    waker.start().unwrap();
    let kicks = idle::kicks(1);
    cpus.run_until(0, || waker.is_ended());
    for _ in 0..20 {
        for cpu in [0, 1] {
            if cpus.can_go_on(cpu) {
                cpus.step(cpu);
            }
        }
    }
    assert!(woken.is_ended(), "{cpus:?}, {} kicks", idle::kicks(1) - kicks);
    assert_eq!((woken.home(), hog.state()), (0, ThreadState::Running));
}

#[test]
fn a_sleeper_for_which_there_is_nothing_stands_in_nobodys_way() {
    let mut kernel = Kernel::boot_with(3, 0);
    let cpus = kernel.cpus();
    kernel.run_until_idle();
    let process = kernel.process("p");
    let hog = pinned(&mut kernel, &process, 0, 20, spin());
    let other = pinned(&mut kernel, &process, 0, 7, spin());
    other.ask_affinity(0b101);
    hog.start().unwrap();
    other.start().unwrap();
    for _ in 0..20 {
        for cpu in 0..3 {
            cpus.step_if(cpu, || true);
        }
    }
    assert_eq!((cpus.place(1), hog.home()), (Place::Asleep, 0));
    assert_eq!((other.state(), other.home()), (ThreadState::Running, 2));
}

#[test]
fn a_pinned_thread_runs_nowhere_else() {
    with_seeds(50, |seed| {
        let mut kernel = Kernel::boot_with(3, seed);
        let cpus = kernel.cpus();
        cpus.disturb(4, 3);
        let process = kernel.process("p");
        let threads: Vec<_> = (0..9)
            .map(|number| {
                let program = async move {
                    for _ in 0..5 {
                        assert_eq!(crate::arch::host::playing(), number % 3);
                        user::work(400_000).await;
                        assert_eq!(crate::arch::host::playing(), number % 3);
                        user::give_way().await;
                    }
                };
                // Made here, wherever it is to run.
                let thread = pinned(&mut kernel, &process, 0, 7, program);
                thread.ask_affinity(1 << (number % 3));
                thread.start().unwrap();
                thread
            })
            .collect();
        kernel.run_until_idle();
        assert!(threads.iter().all(|it| it.exit_reason() == Some(ExitReason::Exited(0))));
    });
}

#[test]
fn no_wake_is_lost_between_cpus() {
    with_seeds(200, |seed| {
        let mut kernel = Kernel::boot_with(2 + seed as usize % 3, seed);
        kernel.cpus().disturb(2 + seed as usize % 7, 1 + seed as usize % 4);
        let process = kernel.process("p");
        let mut players = Vec::new();
        for _ in 0..3 {
            let (_, there) = endpoint(&process);
            let (_, back) = endpoint(&process);
            players.push(kernel.spawn(&process, 7, async move {
                for _ in 0..10 {
                    user::send(there, user::message(1, &[]), Never).await.unwrap();
                    user::receive(back, Never).await.unwrap();
                }
            }));
            players.push(kernel.spawn(&process, 7, async move {
                for _ in 0..10 {
                    user::receive(there, Never).await.unwrap();
                    user::send(back, user::message(1, &[]), Never).await.unwrap();
                }
            }));
        }
        kernel.run_until_idle();
        assert!(players.iter().all(|it| it.exit_reason() == Some(ExitReason::Exited(0))));
    });
}
