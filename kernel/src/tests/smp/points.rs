//! One thing that comes in between another CPU's step, at every point that there is.
#![forbid(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    pin::pin,
    rc::Rc,
    task::{Context, Waker},
};

use orbital_abi::{Deadline::Never, ExitReason};

use super::{Kernel, pinned, spin, user};
use crate::{
    arch::host::idle,
    object::Ref,
    sched,
    tests::{
        cpus::{Cpus, Place},
        kernel::endpoint,
    },
    thread::{Tcb, control::Ticket, state::ThreadState},
    vm::shootdown::Shootdown,
};

/// Plays `run` with the deed at point 0, 1, ... of what it plays, until that has fewer points. `run`
/// gives false where the deed did not come.
pub(super) fn at_every_point(mut run: impl FnMut(usize) -> bool) {
    let points = (0..).take_while(|point| run(*point)).count();
    assert!(points > 3, "there are only {points} points");
}

/// Plays `cpu` for a step with the deed in between; whether it came.
pub(super) fn step_with(
    cpus: &Cpus,
    cpu: usize,
    point: usize,
    deed: impl FnOnce() + 'static,
) -> bool {
    cpus.at_point(point, deed);
    cpus.step(cpu);
    !cpus.has_not_come()
}

/// A thread of CPU 1 that runs.
fn running(kernel: &mut Kernel, priority: u8) -> Ref<Tcb> {
    let process = kernel.process("running");
    let thread = pinned(kernel, &process, 1, priority, spin());
    thread.start().unwrap();
    let cpus = kernel.cpus();
    cpus.run_until(1, || cpus.place(1) == Place::User);
    thread
}

#[test]
fn a_wish_for_a_thread_that_was_just_started_is_fulfilled() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let hog = running(&mut kernel, 20);
        let process = kernel.process("p");
        let thread = pinned(&mut kernel, &process, 1, 9, spin());
        // Something to look at.
        hog.ask_priority(20);
        let wished = thread.clone();
        let came = step_with(&cpus, 1, point, move || {
            wished.start().unwrap();
            wished.ask_priority(3);
        });
        for _ in 0..10 {
            cpus.step_if(1, || true);
        }
        if came {
            let found = (thread.priority(), thread.state());
            assert_eq!(found, (3, ThreadState::Woken), "point {point}");
        }
        came
    });
}

#[test]
fn a_thread_that_is_killed_on_its_way_ends_though_it_would_not_be_picked() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let hog = running(&mut kernel, 20);
        let process = kernel.process("p");
        let victim = pinned(&mut kernel, &process, 1, 9, spin());
        hog.ask_priority(20);
        let killed = victim.clone();
        let came = step_with(&cpus, 1, point, move || {
            killed.start().unwrap();
            killed.kill();
        });
        if came {
            for _ in 0..10 {
                cpus.step_if(1, || true);
            }
            assert_eq!(victim.exit_reason(), Some(ExitReason::Killed), "point {point}");
        }
        came
    });
}

/// From here on, at every point: who waits for the kill does not go on before the thread has ended.
fn watch(cpus: &Rc<Cpus>, victim: &Ref<Tcb>, ticket: Ticket) {
    let mut context = Context::from_waker(Waker::noop());
    let is_told = pin!(victim.fulfilled(ticket)).poll(&mut context).is_ready();
    assert!(!is_told || victim.is_ended(), "told before the end");
    let (again, victim) = (cpus.clone(), victim.clone());
    cpus.at_point(0, move || watch(&again, &victim, ticket));
}

#[test]
fn who_kills_a_thread_that_arrives_goes_on_after_its_end() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let hog = running(&mut kernel, 20);
        let process = kernel.process("p");
        let victim = pinned(&mut kernel, &process, 1, 9, spin());
        victim.start().unwrap();
        hog.ask_priority(20);
        let came = Rc::new(Cell::new(false));
        let (comes, watching, killed) = (came.clone(), cpus.clone(), victim.clone());
        cpus.at_point(point, move || {
            comes.set(true);
            watch(&watching, &killed, killed.kill());
        });
        for _ in 0..10 {
            cpus.step_if(1, || true);
        }
        cpus.has_not_come();
        assert!(!came.get() || victim.is_ended(), "point {point}");
        // Later steps have no end of points.
        came.get() && point < 100
    });
}

#[test]
fn a_shootdown_is_answered_whenever_it_comes() {
    for has_thread in [false, true] {
        at_every_point(|point| {
            let mut kernel = Kernel::boot_with(2, 0);
            let cpus = kernel.cpus();
            if has_thread {
                // Something to look at, or it would not come to the kernel.
                running(&mut kernel, 7).ask_priority(7);
            }
            // So that interrupts are let in between its polls.
            kernel
                .on(1, || sched::spawn(0, async { orbital_executor::yield_now().await }))
                .unwrap();
            let asked = Rc::new(RefCell::new(None));
            let asks = asked.clone();
            let came = step_with(&cpus, 1, point, move || {
                asks.replace(Some(Shootdown::begin(0b10, crate::vm::shootdown::EVERYTHING)));
            });
            // Only as long as it must.
            while cpus.place(1) == Place::Kernel || idle::is_due(1) {
                cpus.step(1);
            }
            if let Some(asked) = &*asked.borrow() {
                assert!(asked.is_done(), "point {point}, {:?}", cpus.place(1));
            }
            came
        });
    }
}

#[test]
fn a_kill_meets_every_point_of_a_wait() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        let (_, slot) = endpoint(&process);
        let victim = pinned(&mut kernel, &process, 1, 7, async move {
            let _ = user::receive(slot, Never).await;
        });
        victim.start().unwrap();
        cpus.run_until(1, || cpus.place(1) == Place::User);
        let killed = victim.clone();
        let came = step_with(&cpus, 1, point, move || {
            killed.kill();
        });
        if !came {
            victim.kill();
        }
        kernel.run_until_idle();
        assert_eq!(victim.exit_reason(), Some(ExitReason::Killed), "point {point}");
        came
    });
}

#[test]
fn a_wake_meets_every_point_of_falling_asleep() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        let thread = pinned(&mut kernel, &process, 1, 7, async {});
        let woken = thread.clone();
        let came = step_with(&cpus, 1, point, move || woken.start().unwrap());
        if came {
            kernel.run_until_idle();
            assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)), "point {point}");
        }
        came
    });
}

#[test]
fn a_kill_meets_every_point_of_a_hand_over() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        kernel.run_until_idle();
        let process = kernel.process("p");
        let threads = [kernel.spawn(&process, 7, spin()), kernel.spawn(&process, 7, spin())];
        let killed = threads.clone();
        let came = step_with(&cpus, 0, point, move || {
            for thread in killed {
                thread.kill();
            }
        });
        for thread in &threads {
            thread.kill();
        }
        kernel.run_until_idle();
        let killed = |it: &Ref<Tcb>| it.exit_reason() == Some(ExitReason::Killed);
        assert!(threads.iter().all(killed), "point {point}");
        came
    });
}

#[test]
fn another_cpu_falls_asleep_at_every_point_of_a_wake() {
    at_every_point(|point| {
        let mut kernel = Kernel::boot_with(2, 0);
        let cpus = kernel.cpus();
        let process = kernel.process("p");
        // CPU 1 runs for ever, with nobody to share with; CPU 0's thread is about to end.
        let hog = running(&mut kernel, 20);
        let (_, slot) = endpoint(&process);
        let ending = pinned(&mut kernel, &process, 0, 20, async {});
        ending.start().unwrap();
        cpus.run_until(0, || cpus.place(0) == Place::User);
        let woken = pinned(&mut kernel, &process, 1, 7, async move {
            user::receive(slot, Never).await.unwrap();
        });
        woken.ask_affinity(u64::MAX);
        let others = woken.clone();
        let came = step_with(&cpus, 0, point, move || others.start().unwrap());
        if !came {
            woken.start().unwrap();
        }
        for _ in 0..20 {
            for cpu in [0, 1] {
                cpus.step_if(cpu, || true);
            }
        }
        assert_eq!((woken.state(), woken.home()), (ThreadState::Blocked, 0), "point {point}");
        assert_eq!(hog.state(), ThreadState::Running);
        came
    });
}
