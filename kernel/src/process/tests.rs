//! The end of processes, whoever brings it about: those who wait are told, and everything comes
//! back. The fixture checks the latter after each test; here the moments between are looked at.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, Fault, FaultKind, ObjectKind, Rights, Syscall,
};

use super::{Name, Process};
use crate::{
    arch::SavedRegisters,
    object::{Charge, Quota, Ref, registry},
    tests::{
        kernel::{CHILD_BYTES, CHILD_FRAMES, Counts, Kernel, endpoint, grant},
        user,
    },
    thread::{Tcb, control::ALL_CPUS},
};

#[test]
fn the_last_thread_ends_the_process_with_its_reason() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    for (priority, code) in [(9, 1), (8, 2), (7, 3)] {
        kernel.thread(&process, priority, async move { code }).start().unwrap();
    }
    assert_eq!((process.threads(), process.exit_reason()), (3, None));
    kernel.run_until_idle();
    assert_eq!((process.threads(), process.exit_reason()), (0, Some(ExitReason::Exited(3))));
}

#[test]
fn a_fault_ends_its_thread_and_with_the_last_one_the_process() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (first, second) = (
        kernel.spawn(&process, 9, async { user::fault(0x1234).await }),
        kernel.spawn(&process, 8, async { user::fault(0x5678).await }),
    );
    kernel.run_until_idle();
    let fault = |address| {
        let (kind, instruction_pointer) = (FaultKind::PageRead, 1);
        Some(ExitReason::Faulted(Fault { kind, address, instruction_pointer }))
    };
    assert_eq!((first.exit_reason(), second.exit_reason()), (fault(0x1234), fault(0x5678)));
    assert_eq!(process.exit_reason(), fault(0x5678));
}

#[test]
fn a_process_that_exits_takes_all_its_threads_along() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = endpoint(&process);
    // One that waits, one that is ready, one that was never started.
    let waiting = kernel.spawn(&process, 9, async move {
        let _ = user::receive(slot, Never).await;
        unreachable!("it was killed");
    });
    kernel.spawn(&process, 8, async {
        let _ = user::control(Syscall::ProcessExit, [5, 0, 0, 0]).await;
        unreachable!("it does not return");
    });
    let ready = kernel.spawn(&process, 7, async { unreachable!("it never runs") });
    let idle = kernel.thread(&process, 7, async { unreachable!("it never runs") });
    kernel.run_until_idle();
    assert_eq!(process.exit_reason(), Some(ExitReason::Exited(5)));
    for thread in [waiting, ready, idle] {
        assert_eq!(thread.exit_reason(), Some(ExitReason::Killed));
    }
}

#[test]
fn the_end_of_a_process_ends_its_children() {
    let mut kernel = Kernel::boot();
    let parent = Process::new(&kernel.init, Name::new(), 500, 300_000).unwrap();
    let child = Process::new(&parent, Name::new(), 300, 200_000).unwrap();
    let grandchild = Process::new(&child, Name::new(), 100, 100_000).unwrap();
    let (_, slot) = endpoint(&grandchild);
    let thread = kernel.spawn(&grandchild, 9, async move {
        let _ = user::receive(slot, Never).await;
    });
    kernel.run_until_idle();
    assert_eq!((parent.children(), child.children(), parent.is_alone()), (1, 1, false));
    assert!(parent.end(ExitReason::Exited(4)));
    assert!(!parent.end(ExitReason::Exited(5)), "it has begun");
    assert_eq!(parent.exit_reason(), None, "not before all is given back");
    kernel.run_until_idle();
    assert_eq!(parent.exit_reason(), Some(ExitReason::Exited(4)));
    assert_eq!(child.exit_reason(), Some(ExitReason::Killed));
    assert_eq!(grandchild.exit_reason(), Some(ExitReason::Killed));
    assert_eq!(thread.exit_reason(), Some(ExitReason::Killed));
    assert_eq!((parent.children(), child.children()), (0, 0));
}

#[test]
fn a_child_that_ends_leaves_its_parent_alone() {
    let mut kernel = Kernel::boot();
    let (parent, other) = (kernel.process("parent"), kernel.process("other"));
    let child = Process::new(&parent, Name::new(), 10, 10_000).unwrap();
    child.end(ExitReason::Exited(1));
    kernel.run_until_idle();
    assert_eq!(child.exit_reason(), Some(ExitReason::Exited(1)));
    assert_eq!((parent.exit_reason(), parent.children()), (None, 0));
    assert_eq!(other.exit_reason(), None);
}

#[test]
fn what_a_process_had_comes_back_with_its_end() {
    let mut kernel = Kernel::boot();
    let quota = Quota::carve(&kernel.init.quota, CHILD_FRAMES, CHILD_BYTES).unwrap();
    let before = Counts::now();
    // What is left to the parent, but for the slab that a quota lies in.
    let usage = kernel.init.quota.usage();
    let left = (
        usage.frames_limit - usage.frames_used,
        usage.kernel_bytes_limit - usage.kernel_bytes_used - 4096,
    );
    let process = Process::first(Name::from("p").unwrap(), quota.clone()).unwrap();
    let (endpoint, slot) = endpoint(&process);
    // An endpoint that names its process's capability in turn, memory that is mapped, threads.
    grant(&process, &process, Rights::all(), 0);
    drop(endpoint);
    kernel.spawn(&process, 9, async move {
        let memory = user::memory(50 * 4096).await.unwrap();
        let arguments = orbital_abi::arguments::MemoryMap {
            process: CapSlot::NULL,
            memory,
            address: 0x4000_0000,
            offset: 0,
            bytes: 50 * 4096,
            rights: Rights::READ | Rights::WRITE,
        };
        user::map(arguments).await.unwrap();
        let _ = user::receive(slot, Never).await;
    });
    kernel.run_until_idle();
    assert!(Counts::now() != before);
    assert!(Charge::new(&quota, CHILD_FRAMES - 50, 0).is_err());
    assert!(process.end(ExitReason::Killed));
    kernel.run_until_idle();
    assert_eq!(process.exit_reason(), Some(ExitReason::Killed));
    // Whoever still names the process and its quota keeps none of what that promised.
    let usage = quota.usage();
    assert_eq!((usage.frames_used, usage.kernel_bytes_used), (0, 0), "everything it was charged");
    let again = Quota::carve(&kernel.init.quota, left.0 + CHILD_FRAMES, left.1 + CHILD_BYTES);
    assert!(again.is_ok(), "it is the parent's again");
    drop(again);
    drop(process);
    assert_eq!(Counts::now(), before);
}

#[test]
fn those_who_wait_for_a_process_are_told_when_it_is_gone() {
    let mut kernel = Kernel::boot();
    let (process, waiter) = (kernel.process("p"), kernel.process("waiter"));
    let slot = grant(&waiter, &process, Rights::WAIT, 0);
    let waiting: Vec<Ref<Tcb>> = (0..3)
        .map(|_| {
            kernel.spawn(&waiter, 9, async move {
                let reason = user::wait(Syscall::ProcessWait, slot, Now).await;
                assert_eq!(reason, Err(Error::WouldBlock));
                let reason = user::wait(Syscall::ProcessWait, slot, Never).await;
                assert_eq!(reason, Ok(ExitReason::Exited(9)));
                let again = user::wait(Syscall::ProcessWait, slot, Now).await;
                assert_eq!(again, Ok(ExitReason::Exited(9)), "it stays told");
            })
        })
        .collect();
    kernel.run_until_idle();
    assert!(waiting.iter().all(|thread| thread.exit_reason().is_none()));
    kernel.thread(&process, 1, async { 9 }).start().unwrap();
    kernel.run_until_idle();
    for thread in waiting {
        assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

#[test]
fn one_who_is_killed_while_it_waits_for_a_process_leaves_the_others_waiting() {
    let mut kernel = Kernel::boot();
    let (process, waiter) = (kernel.process("p"), kernel.process("waiter"));
    let slot = grant(&waiter, &process, Rights::WAIT, 0);
    let waiting: Vec<Ref<Tcb>> = (0..3)
        .map(|_| {
            kernel.spawn(&waiter, 9, async move {
                user::wait(Syscall::ProcessWait, slot, Never).await.unwrap();
            })
        })
        .collect();
    kernel.run_until_idle();
    waiting[1].kill();
    kernel.run_until_idle();
    process.end(ExitReason::Killed);
    kernel.run_until_idle();
    let reasons: Vec<_> = waiting.iter().map(|thread| thread.exit_reason()).collect();
    let (ended, killed) = (Some(ExitReason::Exited(0)), Some(ExitReason::Killed));
    assert_eq!(reasons, [ended, killed, ended]);
}

#[test]
fn an_ending_process_takes_nothing_new() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    // Something that takes the reaper more than one step.
    let threads: Vec<_> = (0..40).map(|_| kernel.thread(&process, 7, async { 0 })).collect();
    process.end(ExitReason::Killed);
    let frames = crate::memory::free_frames();
    let registers = SavedRegisters::new(0x40_0000, 0, 0).unwrap();
    assert_eq!(Tcb::new(&process, registers, 7, ALL_CPUS).err(), Some(Error::Ended));
    let child = Process::new(&process, Name::new(), 10, 10_000);
    assert_eq!(child.err(), Some(Error::Ended));
    assert_eq!(crate::memory::free_frames(), frames, "nothing was lost on the way");
    kernel.run_until_idle();
    assert!(threads.iter().all(|thread| thread.exit_reason() == Some(ExitReason::Killed)));
    let refused = process.install(process.capability(CapSlot::NULL).unwrap_or_else(|_| {
        crate::capability::Capability::new(kernel.init.clone(), Rights::all())
    }));
    assert_eq!(refused, Err(Error::Ended));
}

#[test]
fn a_process_without_the_means_is_not_made() {
    let mut kernel = Kernel::boot();
    let parent = kernel.process("p");
    let frames = crate::memory::free_frames();
    let processes = registry::live(ObjectKind::Process);
    for (frames, bytes) in [
        (CHILD_FRAMES + 1, 0),
        (1, CHILD_BYTES),
        (u64::MAX, 1),
        (1, u64::MAX),
        // Not even a root.
        (0, 1000),
    ] {
        let refused = Process::new(&parent, Name::new(), frames, bytes);
        assert_eq!(refused.err(), Some(Error::QuotaExceeded), "{frames} {bytes}");
    }
    assert_eq!(parent.children(), 0);
    assert_eq!(crate::memory::free_frames(), frames);
    assert_eq!(registry::live(ObjectKind::Process), processes);
    kernel.run_until_idle();
}

#[test]
fn a_process_that_nobody_names_any_more_ends() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let slot = grant(&kernel.init, &process, Rights::MANAGE, 0);
    let copy = grant(&kernel.init, &process, Rights::WAIT, 0);
    kernel.init.close(slot).unwrap();
    kernel.run_until_idle();
    assert_eq!(process.exit_reason(), None, "one is left");
    kernel.init.close(copy).unwrap();
    kernel.run_until_idle();
    assert_eq!(process.exit_reason(), Some(ExitReason::Killed));
}

#[test]
fn many_processes_come_and_go_without_a_trace() {
    let mut kernel = Kernel::boot();
    let before = Counts::now();
    for round in 0..50 {
        let process = kernel.process("p");
        let child = Process::new(&process, Name::new(), 20, 24_000).unwrap();
        for (process, priority) in [(&process, 9), (&child, 8)] {
            let (_, slot) = endpoint(process);
            kernel.spawn(process, priority, async move {
                let _ = user::memory(8 * 4096).await.unwrap();
                if round % 2 == 0 {
                    let _ = user::receive(slot, Never).await;
                }
            });
        }
        kernel.run_until_idle();
        process.end(ExitReason::Killed);
        kernel.run_until_idle();
        drop((process, child));
        assert_eq!(Counts::now(), before, "round {round}");
    }
}

/// A thread of priority 3 ends a process and starts one of priority 6: whether the process is gone when
/// that runs, where `waits` may have a thread that waits for it.
fn is_gone_before_the_next(ends_at: u8, waits_at: Option<u8>) -> bool {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("p"), kernel.process("other"));
    let victim = grant(&other, &process, Rights::MANAGE | Rights::WAIT, 0);
    for _ in 0..40 {
        kernel.thread(&process, 7, async { 0 });
    }
    let seen = Rc::new(Cell::new(None));
    let (sees, looked_at) = (seen.clone(), process.clone());
    let next = kernel.thread(&other, 6, async move {
        sees.set(Some(looked_at.exit_reason().is_some()));
        0
    });
    let next = grant(&other, &next, Rights::MANAGE, 0);
    if let Some(priority) = waits_at {
        kernel.spawn(&other, priority, async move {
            user::wait(Syscall::ProcessWait, victim, Never).await.unwrap();
        });
        kernel.run_until_idle();
    }
    kernel.spawn(&other, ends_at, async move {
        user::control(Syscall::ProcessKill, [victim.bits(), 0, 0, 0]).await.unwrap();
        user::control(Syscall::ThreadStart, [next.bits(), 0, 0, 0]).await.unwrap();
    });
    kernel.run_until_idle();
    seen.get().expect("it ran")
}

#[test]
fn a_process_is_cleaned_up_as_urgently_as_it_was_ended() {
    assert!(!is_gone_before_the_next(3, None));
    assert!(is_gone_before_the_next(9, None));
}

#[test]
fn who_waits_for_the_end_of_a_process_hurries_it() {
    assert!(is_gone_before_the_next(3, Some(8)));
    assert!(!is_gone_before_the_next(3, Some(2)));
}

#[test]
fn members_go_round_and_leave_from_anywhere() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let threads: Vec<_> = (0..5).map(|_| kernel.thread(&process, 7, async { 0 })).collect();
    let next = || {
        let thread = process.next_thread()?;
        threads.iter().position(|other| thread.is(&**other))
    };
    assert_eq!([(); 6].map(|()| next()), [0, 1, 2, 3, 4, 0].map(Some));
    // From the middle, the end and the front.
    for (gone, left) in [(3, vec![1, 2, 4, 0]), (0, vec![1, 2, 4]), (1, vec![2, 4])] {
        process.take_back_thread(&*threads[gone]);
        assert_eq!(process.threads(), left.len());
        let order: Vec<_> = left.iter().map(|_| next().unwrap()).collect();
        assert_eq!(order, left);
    }
    // Once more is nothing.
    process.take_back_thread(&*threads[3]);
    assert_eq!(process.threads(), 2);
}
