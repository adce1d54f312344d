//! Threads: how they are made, what they start with, and what is kept apart between them.
#![forbid(unsafe_code)]

use core::alloc::Layout;

use super::{
    CapSlot, Error, ExitReason, Kernel, Never, Now, Rights, Syscall, ThreadCreate, grant, own,
    run_in, user,
};
use crate::{
    arch::{
        Trap,
        host::{fpu, segments},
    },
    capability::slots::LEAF_SLOTS,
    object::{Charge, PaidRoom},
    sched,
};

const STACK: u64 = 0x7000_0000;

async fn create(arguments: ThreadCreate) -> Result<CapSlot, Error> {
    let answer = user::syscall(Syscall::ThreadCreate as u64, arguments.encode()).await?;
    Ok(CapSlot::from_bits(answer.control[0]))
}

async fn start(slot: CapSlot) -> Result<(), Error> {
    user::control(Syscall::ThreadStart, [slot.bits(), 0, 0, 0]).await.map(|_| ())
}

#[test]
fn a_thread_is_made_started_and_waited_for() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let slot = own(&process);
    let entry = kernel.program(async {
        let started = sched::current().with_registers(|r| (r.argument(), r.stack_pointer()));
        assert_eq!(started, (99, STACK));
        user::exit(12).await;
        0
    });
    run_in(&mut kernel, &process, async move {
        let arguments =
            ThreadCreate { process: slot, entry, stack: STACK, argument: 99, priority: 100 };
        let thread = create(arguments).await.unwrap();
        let early = user::wait(Syscall::ThreadWait, thread, Now).await;
        assert_eq!(early, Err(Error::WouldBlock));
        start(thread).await.unwrap();
        assert_eq!(start(thread).await, Err(Error::AlreadyStarted));
        let reason = user::wait(Syscall::ThreadWait, thread, Never).await;
        assert_eq!(reason, Ok(ExitReason::Exited(12)));
        assert_eq!(start(thread).await, Err(Error::Ended));
        let again = user::wait(Syscall::ThreadWait, thread, Now).await;
        assert_eq!(again, Ok(ExitReason::Exited(12)));
    });
}

#[test]
fn what_a_thread_may_not_have_is_refused() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (slot, waited) = (own(&process), grant(&process, &process, Rights::WAIT, 0));
    run_in(&mut kernel, &process, async move {
        let good = ThreadCreate {
            process: slot,
            entry: 0x40_0000,
            stack: STACK,
            argument: 0,
            priority: 100,
        };
        for priority in [101, 255] {
            let refused = create(ThreadCreate { priority, ..good }).await;
            assert_eq!(refused, Err(Error::PriorityTooHigh), "{priority}");
        }
        for entry in [0, 4095, 0x0000_7fff_ffff_f000, 1 << 47, u64::MAX] {
            let refused = create(ThreadCreate { entry, ..good }).await;
            assert_eq!(refused, Err(Error::InvalidAddress), "{entry:#x}");
        }
        for stack in [0x0000_7fff_ffff_f001, 1 << 47, u64::MAX] {
            let refused = create(ThreadCreate { stack, ..good }).await;
            assert_eq!(refused, Err(Error::InvalidAddress), "{stack:#x}");
        }
        let refused = create(ThreadCreate { process: waited, ..good }).await;
        assert_eq!(refused, Err(Error::MissingRights));
        let refused = create(ThreadCreate { process: CapSlot::NULL, ..good }).await;
        assert_eq!(refused, Err(Error::EmptySlot), "a thread is made in a process that is named");
        let mut odd = good.encode();
        odd.words[0] = 256;
        let refused = user::syscall(Syscall::ThreadCreate as u64, odd).await;
        assert_eq!(refused, Err(Error::InvalidArgument));
        assert_eq!(start(slot).await, Err(Error::WrongKind));
        let last = create(ThreadCreate { stack: 0x0000_7fff_ffff_f000, ..good }).await;
        user::close(last.unwrap()).await.unwrap();
    });
}

#[test]
fn threads_are_paid_by_their_process() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let slot = own(&process);
    run_in(&mut kernel, &process, async move {
        let arguments = ThreadCreate {
            process: slot,
            entry: 0x40_0000,
            stack: STACK,
            argument: 0,
            priority: 1,
        };
        let mut threads = Vec::new();
        let error = loop {
            match create(arguments).await {
                Ok(thread) => threads.push(thread),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        assert!(threads.len() > 10, "{}", threads.len());
        // The last capability gone, a thread that never ran is gone too.
        user::close(threads.pop().unwrap()).await.unwrap();
        user::give_way().await;
        user::work(1000).await;
        user::close(threads.pop().unwrap()).await.unwrap();
    });
}

#[test]
fn a_thread_that_could_not_be_handed_over_changes_nothing() {
    let mut kernel = Kernel::boot();
    let (parent, child) = (kernel.process("parent"), kernel.process("child"));
    grant(&kernel.init, &child, Rights::MANAGE, 0);
    // The parent's table is full, and there is nothing left to pay a larger one with.
    let mut slot = grant(&parent, &child, Rights::MANAGE, 0);
    while slot.index() < 2 * LEAF_SLOTS as u32 - 1 {
        slot = grant(&parent, &child, Rights::MANAGE, 0);
    }
    let quota = parent.quota.clone();
    run_in(&mut kernel, &parent, async move {
        let node = Layout::new::<[u8; 2016]>();
        let full: Vec<_> = core::iter::from_fn(|| PaidRoom::new(node, &quota).ok()).collect();
        assert!(!full.is_empty());
        let (entry, stack, argument, priority) = (0x40_0000, STACK, 0, 1);
        let refused = create(ThreadCreate { process: slot, entry, stack, argument, priority });
        assert_eq!(refused.await, Err(Error::QuotaExceeded));
    });
    assert_eq!((child.threads(), child.exit_reason()), (0, None), "it is as it was");
}

#[test]
fn registers_that_the_kernel_does_not_use_are_kept_apart() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    for number in 1..4 {
        kernel.spawn(&process, 7, async move {
            assert_eq!((fpu::registers(), segments::registers()), (None, 0), "nobody else's");
            segments::set_registers(number);
            user::trap(Trap::FpuUnavailable).await;
            assert_eq!(fpu::registers(), Some(fpu::AFTER_RESET));
            fpu::set_registers(number);
            for _ in 0..3 {
                user::give_way().await;
                assert_eq!(fpu::registers(), Some(number));
                assert_eq!(segments::registers(), number);
                user::work(2_000_000).await;
                assert_eq!(fpu::registers(), Some(number));
                let own = user::memory(64 * 4096).await.unwrap();
                assert_eq!((fpu::registers(), segments::registers()), (Some(number), number));
                user::close(own).await.unwrap();
            }
        });
    }
    // Without floating point the others' stays shut.
    kernel.spawn(&process, 7, async {
        for _ in 0..6 {
            assert_eq!((fpu::registers(), segments::registers()), (None, 0));
            user::give_way().await;
        }
    });
    kernel.run_until_idle();
    assert_eq!(process.exit_reason(), Some(ExitReason::Exited(0)));
}

#[test]
fn floating_point_without_the_means_ends_the_thread() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let thread = kernel.spawn(&process, 7, async {
        user::trap(Trap::FpuUnavailable).await;
        unreachable!("there was nothing to pay with");
    });
    let mut hogs = Vec::new();
    for bytes in [10_000, 100, 1] {
        hogs.extend(core::iter::from_fn(|| Charge::new(&process.quota, 0, bytes).ok()));
    }
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Killed));
}
