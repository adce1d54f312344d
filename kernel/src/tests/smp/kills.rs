//! Kills from another CPU, in every state of the thread, and against everything that can happen to it
//! at the same time.
#![forbid(unsafe_code)]

use orbital_abi::{Deadline::Never, Error, ExitReason};

use super::{Kernel, pinned, spin, user, with_seeds};
use crate::{
    arch::host::idle,
    object::Ref,
    tests::{cpus::Place, kernel::endpoint},
    thread::{Tcb, state::ThreadState},
};

/// CPU 0 kills `victim`, which is CPU 1's and ends there, with its next look at its queues.
fn kill_from_cpu0(kernel: &Kernel, victim: &Ref<Tcb>) {
    let cpus = kernel.cpus();
    let (kicks, awake) = (idle::kicks(1), cpus.place(1) == Place::Kernel);
    let was = victim.state();
    victim.kill();
    assert!(awake || idle::kicks(1) == kicks + 1, "{was:?}: its CPU is told");
    assert_eq!(victim.state(), was, "only its own CPU touches it");
    cpus.step(1);
    assert_eq!(victim.exit_reason(), Some(ExitReason::Killed), "{was:?}");
}

#[test]
fn a_thread_that_runs_on_another_cpu_ends_with_the_kick() {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let victim = pinned(&mut kernel, &process, 1, 7, spin());
    victim.start().unwrap();
    cpus.run_until(1, || cpus.place(1) == Place::User);
    kill_from_cpu0(&kernel, &victim);
}

#[test]
fn a_thread_that_waits_for_its_turn_does_not_have_to_wait_for_its_end() {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    let preempted = pinned(&mut kernel, &process, 1, 7, spin());
    preempted.start().unwrap();
    cpus.run_until(1, || preempted.state() == ThreadState::Running);
    let hog = pinned(&mut kernel, &process, 1, 9, spin());
    hog.start().unwrap();
    cpus.run_until(1, || hog.state() == ThreadState::Running);
    assert_eq!(preempted.state(), ThreadState::Preempted);
    kill_from_cpu0(&kernel, &preempted);
    assert_eq!(hog.state(), ThreadState::Running);
    // One that has not run since it was woken.
    let woken = pinned(&mut kernel, &process, 1, 7, spin());
    woken.start().unwrap();
    let late = pinned(&mut kernel, &process, 1, 10, async { user::work(1).await });
    late.start().unwrap();
    cpus.run_until(1, || late.is_ended());
    cpus.run_until(1, || hog.state() == ThreadState::Running);
    assert_eq!(woken.state(), ThreadState::Woken);
    kill_from_cpu0(&kernel, &woken);
}

#[test]
fn a_thread_that_waits_is_cancelled_by_its_own_cpu() {
    let mut kernel = Kernel::boot_with(2, 0);
    let process = kernel.process("p");
    let (_, slot) = endpoint(&process);
    let victim = pinned(&mut kernel, &process, 1, 7, async move {
        let _ = user::receive(slot, Never).await;
        unreachable!("it is killed");
    });
    victim.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(victim.state(), ThreadState::Blocked);
    kill_from_cpu0(&kernel, &victim);
}

#[test]
fn a_thread_that_never_started_ends_too() {
    let mut kernel = Kernel::boot_with(2, 0);
    let process = kernel.process("p");
    let victim = pinned(&mut kernel, &process, 1, 7, spin());
    kernel.run_until_idle();
    kill_from_cpu0(&kernel, &victim);
    assert_eq!(victim.start(), Err(Error::Ended));
}

#[test]
fn a_thread_that_is_on_its_way_to_its_cpu_ends_when_it_arrives() {
    let mut kernel = Kernel::boot_with(2, 0);
    let process = kernel.process("p");
    let victim = pinned(&mut kernel, &process, 1, 7, spin());
    kernel.run_until_idle();
    victim.start().unwrap();
    assert_eq!((victim.state(), idle::kicks(1)), (ThreadState::Woken, 1));
    victim.kill();
    assert_eq!(idle::kicks(1), 1, "it will look anyway");
    kernel.cpus().step(1);
    assert_eq!(victim.exit_reason(), Some(ExitReason::Killed));
}

#[test]
fn a_thread_that_is_given_to_another_cpu_ends_there() {
    let mut kernel = Kernel::boot_with(2, 0);
    let cpus = kernel.cpus();
    let process = kernel.process("p");
    kernel.run_until_idle();
    let threads = [kernel.spawn(&process, 7, spin()), kernel.spawn(&process, 7, spin())];
    cpus.step(0);
    let victim = threads.iter().find(|it| it.home() == 1).expect("CPU 1 sleeps");
    assert_ne!(victim.state(), ThreadState::Running);
    victim.kill();
    cpus.step(1);
    assert_eq!(victim.exit_reason(), Some(ExitReason::Killed));
}

#[test]
fn a_message_and_a_kill_meet_in_every_order() {
    // Which of the three comes first: the kill, the sender's system call, the receiver's CPU.
    for order in ["ksr", "krs", "skr", "srk", "rks", "rsk"] {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        let (_, slot) = endpoint(&process);
        let receiver = pinned(&mut kernel, &process, 1, 7, async move {
            let _ = user::receive(slot, Never).await;
            spin().await;
        });
        receiver.start().unwrap();
        kernel.run_until_idle();
        let sender = pinned(&mut kernel, &process, 0, 7, async move {
            user::send(slot, user::message(1, &[]), Never).await.unwrap();
        });
        sender.start().unwrap();
        let mut sent = None;
        for deed in order.chars() {
            match deed {
                'k' => {
                    receiver.kill();
                }
                's' => {
                    cpus.step(0);
                    cpus.run_until(0, || cpus.place(0) != Place::User);
                    sent = Some(sender.is_ended());
                }
                _ if cpus.can_go_on(1) => cpus.step(1),
                _ => {}
            }
        }
        while cpus.can_go_on(1) {
            cpus.step(1);
        }
        assert_eq!(receiver.exit_reason(), Some(ExitReason::Killed), "{order}");
        // Who has ended waits for nothing: so the message is taken but where it came too late.
        let took = order != "krs";
        assert_eq!(sent, Some(took), "{order}");
        assert_eq!(sender.state() == ThreadState::Blocked, !took, "{order}");
    }
}

#[test]
fn kills_meet_everything_else_at_any_point() {
    with_seeds(300, |seed| {
        let mut kernel = Kernel::boot_with(2 + seed as usize % 3, seed);
        kernel.cpus().disturb(1 + seed as usize % 5, 1 + seed as usize % 4);
        let (process, killers) = (kernel.process("p"), kernel.process("killers"));
        let (_, slot) = endpoint(&process);
        let victims: Vec<_> = (0..6_u64)
            .map(|number| {
                kernel.spawn(&process, 7, async move {
                    for round in 0.. {
                        let message = user::message(1, &[]);
                        match (number + round) % 3 {
                            0 => drop(user::send(slot, message, Never).await),
                            1 => drop(user::receive(slot, Never).await),
                            _ => user::give_way().await,
                        }
                    }
                })
            })
            .collect();
        for half in [victims[..3].to_vec(), victims[3..].to_vec()] {
            kernel.spawn(&killers, 7, async move {
                for victim in half {
                    user::work(1000).await;
                    user::give_way().await;
                    victim.kill();
                }
            });
        }
        kernel.run_until_idle();
        for victim in victims {
            assert_eq!(victim.exit_reason(), Some(ExitReason::Killed));
        }
        assert!(process.exit_reason().is_some() && killers.exit_reason().is_some());
    });
}
