//! Threads that are killed, whatever they are doing.
#![forbid(unsafe_code)]

use orbital_abi::{Deadline::Never, Error, ExitReason, Syscall};

use super::{Kernel, Notes, user};
use crate::{
    arch::Trap,
    tests::kernel::{endpoint, grant},
    thread::state::ThreadState,
};

#[test]
fn a_thread_that_was_never_started_can_be_killed() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let thread = kernel.thread(&process, 7, async { unreachable!("it never runs") });
    thread.kill();
    thread.kill();
    assert_ne!(thread.start(), Ok(()).and(Err(Error::Ended)), "it may be started or not");
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Killed));
    assert_eq!(process.exit_reason(), Some(ExitReason::Killed), "it was the last");
}

#[test]
fn a_thread_that_is_ready_never_runs_again() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let notes = Notes::default();
    let noted = notes.clone();
    let victim = kernel.spawn(&process, 7, async move {
        noted.borrow_mut().push("started");
        user::give_way().await;
        unreachable!("it was killed meanwhile");
    });
    let killed = victim.clone();
    kernel.spawn(&process, 7, async move {
        assert_eq!(killed.state(), ThreadState::Preempted);
        killed.kill();
        user::give_way().await;
        assert_eq!(killed.exit_reason(), Some(ExitReason::Killed));
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), ["started"]);
    assert_eq!(victim.state(), ThreadState::Ended);
}

#[test]
fn the_thread_that_runs_ends_at_its_next_entry() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    for by_interrupt in [false, true] {
        let victim = kernel.thread(&process, 7, async move {
            user::work(1000).await;
            if by_interrupt {
                user::trap(Trap::Timer).await;
            } else {
                user::give_way().await;
            }
            unreachable!("it was killed");
        });
        // Keeps the process.
        let other = kernel.thread(&process, 7, async { 0 });
        let killed = victim.clone();
        kernel.preempt = Some(Box::new(move || {
            if killed.state() == ThreadState::Running {
                killed.kill();
            }
            false
        }));
        victim.start().unwrap();
        kernel.run_until_idle();
        kernel.preempt = None;
        assert_eq!(victim.exit_reason(), Some(ExitReason::Killed));
        drop(other);
    }
}

#[test]
fn closing_the_last_capability_to_a_thread_kills_it() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = endpoint(&process);
    let victim = kernel.spawn(&process, 7, async move {
        user::receive(slot, Never).await.unwrap();
    });
    let capability = grant(&kernel.init, &victim, orbital_abi::Rights::MANAGE, 0);
    kernel.run_until_idle();
    assert_eq!(victim.exit_reason(), None);
    kernel.init.close(capability).unwrap();
    kernel.run_until_idle();
    assert_eq!(victim.exit_reason(), Some(ExitReason::Killed));
}

#[test]
fn a_thread_that_waits_for_its_own_end_can_be_killed() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let thread = kernel.spawn(&process, 7, async move {
        let own = orbital_abi::CapSlot::new(0, 1);
        let _ = user::wait(Syscall::ThreadWait, own, Never).await;
        unreachable!("its end can't come while it waits for it");
    });
    grant(&process, &thread, orbital_abi::Rights::WAIT, 0);
    kernel.run_until_idle();
    assert_eq!(thread.state(), ThreadState::Blocked);
    thread.kill();
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Killed));
}
