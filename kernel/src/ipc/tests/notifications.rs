//! Notifications: signals coalesce and are never lost, and those who wait are served in their order.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never, Now},
    Error, ExitReason, Rights, Syscall,
};

use super::{Kernel, Notes, endpoint, grant, user};
use crate::{
    arch::host::clock,
    object::Ref,
    tests::kernel::notification,
    thread::{BlockReason, Tcb, state::ThreadState},
};

const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

#[test]
fn signals_coalesce_until_they_are_taken() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = notification(&process);
    let thread = kernel.spawn(&process, 7, async move {
        assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock));
        for bits in [1, 1, 4, 1 << 63] {
            user::signal(slot, bits).await.unwrap();
        }
        assert_eq!(user::wait_signal(slot, Now).await, Ok(1 << 63 | 5));
        assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock), "all are taken");
        // What is there needs no wait, whatever the deadline.
        for deadline in [Never, At(1), At(u64::MAX - 1)] {
            user::signal(slot, u64::MAX).await.unwrap();
            assert_eq!(user::wait_signal(slot, deadline).await, Ok(u64::MAX));
        }
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

/// Threads that wait, with what they were given in the order in which they noted it.
fn waiters(
    kernel: &mut Kernel,
    process: &Ref<crate::process::Process>,
    slot: CapSlot,
    priorities: &[u8],
) -> (Vec<Ref<Tcb>>, Notes<(usize, u64)>) {
    let notes = Notes::default();
    let threads = priorities.iter().enumerate().map(|(count, priority)| {
        let noted = notes.clone();
        let thread = kernel.spawn(process, *priority, async move {
            let bits = user::wait_signal(slot, Never).await.unwrap();
            noted.borrow_mut().push((count, bits));
        });
        kernel.run_until_idle();
        assert_eq!(thread.state(), ThreadState::Blocked);
        assert_eq!(thread.block_reason(), BlockReason::WaitingSignal);
        thread
    });
    (threads.collect(), notes)
}

#[test]
fn the_more_urgent_of_those_who_wait_are_served_first_and_equals_as_they_came() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (notification, slot) = notification(&process);
    let (threads, notes) = waiters(&mut kernel, &process, slot, &[7, 200, 1, 7]);
    for (round, waiter) in [1, 0, 3, 2].into_iter().enumerate() {
        notification.signal(1 << round | 1 << 40).unwrap();
        kernel.run_until_idle();
        assert_eq!(notes.borrow().last(), Some(&(waiter, 1 << round | 1 << 40)));
        assert_eq!(notes.borrow().len(), round + 1, "one for each signal");
    }
    assert!(threads.iter().all(|thread| thread.exit_reason() == WELL));
}

#[test]
fn a_thread_is_chosen_when_the_signal_comes_and_keeps_what_it_was_given() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = notification(&process);
    let (threads, notes) = waiters(&mut kernel, &process, slot, &[7, 7]);
    // The signaller is more urgent than both: they run when it has done all of this.
    kernel.spawn(&process, 9, async move {
        for bits in [1, 2, 4, 8] {
            user::signal(slot, bits).await.unwrap();
        }
        assert_eq!(user::wait_signal(slot, Now).await, Ok(4 | 8), "the others are given away");
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [(0, 1), (1, 2)]);
    assert!(threads.iter().all(|thread| thread.exit_reason() == WELL));
}

#[test]
fn a_wait_ends_at_its_deadline_and_leaves_the_queue() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = notification(&process);
    let thread = kernel.spawn(&process, 7, async move {
        for wait in [1, 5_000_000, 1 << 40] {
            let deadline = clock::nanoseconds() + wait;
            assert_eq!(user::wait_signal(slot, At(deadline)).await, Err(Error::TimedOut));
            assert_eq!(clock::nanoseconds(), deadline);
        }
        assert_eq!(user::wait_signal(slot, At(1)).await, Err(Error::TimedOut), "it has passed");
        user::signal(slot, 3).await.unwrap();
        assert_eq!(user::wait_signal(slot, Now).await, Ok(3), "nobody stands before it");
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

#[test]
fn a_signal_and_a_deadline_in_one_turn_give_the_signal() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (notification, slot) = notification(&process);
    let start = clock::nanoseconds();
    let thread = kernel.spawn(&process, 7, async move {
        assert_eq!(user::wait_signal(slot, At(start + 1000)).await, Ok(6));
        assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock));
    });
    // It works until after the deadline, and is more urgent.
    kernel.spawn(&process, 9, async move {
        user::control(Syscall::ThreadSleep, [start + 500, 0, 0, 0]).await.unwrap();
        user::work(2000).await;
        assert!(clock::nanoseconds() > start + 1000);
        notification.signal(6).unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

#[test]
fn what_a_killed_thread_was_given_goes_to_the_next_or_back() {
    for others in 0..3 {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let (_, slot) = notification(&process);
        let priorities = vec![7; 1 + others];
        let (threads, notes) = waiters(&mut kernel, &process, slot, &priorities);
        let victim = threads[0].clone();
        let killer = kernel.spawn(&process, 9, async move {
            user::signal(slot, 5).await.unwrap();
            // Chosen and woken, and it has not run.
            assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock));
            victim.kill();
            user::signal(slot, 8).await.unwrap();
            let left = user::wait_signal(slot, Now).await;
            match others {
                0 => assert_eq!(left, Ok(13), "back in the word"),
                // Which of both the next one has got depends on when the kill is served.
                1 => assert!(matches!(left, Ok(5 | 8))),
                _ => assert_eq!(left, Err(Error::WouldBlock)),
            }
        });
        kernel.run_until_idle();
        assert_eq!(killer.exit_reason(), WELL);
        assert_eq!(threads[0].exit_reason(), Some(ExitReason::Killed));
        assert_eq!(notes.borrow().len(), others);
    }
}

#[test]
fn a_thread_that_is_killed_while_it_waits_leaves_the_others_in_order() {
    for victim in 0..3 {
        let mut kernel = Kernel::boot();
        let process = kernel.process("p");
        let (notification, slot) = notification(&process);
        let (threads, notes) = waiters(&mut kernel, &process, slot, &[7, 7, 7]);
        threads[victim].kill();
        kernel.run_until_idle();
        assert_eq!(threads[victim].exit_reason(), Some(ExitReason::Killed));
        for bit in [1, 2, 4] {
            notification.signal(bit).unwrap();
        }
        // The process goes with its last thread, and the capability with it.
        kernel.spawn(&process, 1, async move {
            assert_eq!(user::wait_signal(slot, Now).await, Ok(4), "nobody was there for the third");
        });
        kernel.run_until_idle();
        let left: Vec<usize> = (0..3).filter(|count| *count != victim).collect();
        assert_eq!(*notes.borrow(), [(left[0], 1), (left[1], 2)]);
    }
}

#[test]
fn a_suspended_thread_keeps_what_it_was_given() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (notification, slot) = notification(&process);
    let (threads, notes) = waiters(&mut kernel, &process, slot, &[7, 7]);
    threads[0].suspend();
    kernel.run_until_idle();
    notification.signal(1).unwrap();
    kernel.run_until_idle();
    assert!(notes.borrow().is_empty(), "it comes first, and does not run");
    notification.signal(2).unwrap();
    kernel.run_until_idle();
    threads[0].resume();
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [(1, 2), (0, 1)]);
}

#[test]
fn everyone_is_told_when_the_last_capability_goes() {
    let mut kernel = Kernel::boot();
    let (process, other) = (kernel.process("p"), kernel.process("other"));
    let (notification, slot) = notification(&process);
    let elsewhere = grant(&other, &notification, Rights::SEND, 0);
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            kernel.spawn(&process, 7, async move {
                let ended = user::wait_signal(slot, Never).await;
                assert_eq!(ended, Err(Error::NotificationGone));
            })
        })
        .collect();
    kernel.run_until_idle();
    process.close(slot).unwrap();
    kernel.run_until_idle();
    assert!(waiting.iter().all(|thread| !thread.is_ended()), "another process has one");
    other.close(elsewhere).unwrap();
    assert_eq!(notification.signal(1), Err(Error::NotificationGone));
    kernel.run_until_idle();
    assert!(waiting.iter().all(|thread| thread.exit_reason() == WELL));
}

#[test]
fn a_badge_is_a_mask_of_what_may_be_signalled() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, slot) = notification(&process);
    let thread = kernel.spawn(&process, 7, async move {
        let all = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
        let masked = user::copy(slot, CapSlot::NULL, all, 0b110).await.unwrap();
        let again = user::copy(masked, CapSlot::NULL, all, 0b010).await;
        assert_eq!(again, Err(Error::AlreadyBadged));
        let kept = user::copy(masked, CapSlot::NULL, Rights::SEND, 0).await.unwrap();
        for slot in [masked, kept] {
            for bits in [1, 0b111, 8, u64::MAX, 0b1110] {
                assert_eq!(user::signal(slot, bits).await, Err(Error::MissingRights), "{bits:#b}");
                assert_eq!(user::timer(slot, bits).await, Err(Error::MissingRights), "{bits:#b}");
            }
        }
        assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock), "all or nothing");
        for bits in [0b010, 0b100, 0b110] {
            user::signal(masked, bits).await.unwrap();
            user::signal(slot, 1).await.unwrap();
            // Who waits takes all bits, whatever may be signalled through its capability.
            assert_eq!(user::wait_signal(masked, Now).await, Ok(bits | 1));
        }
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (word, slot) = notification(&process);
    let send_only = grant(&process, &word, Rights::SEND, 0);
    let receive_only = grant(&process, &word, Rights::RECEIVE, 0);
    let (_, endpoint) = endpoint(&process);
    let thread = kernel.spawn(&process, 7, async move {
        let closed = user::copy(slot, CapSlot::NULL, Rights::all(), 0).await.unwrap();
        user::close(closed).await.unwrap();
        for (slot, error) in [
            (CapSlot::NULL, Error::EmptySlot),
            (CapSlot::new(u32::MAX, 1), Error::EmptySlot),
            (closed, Error::StaleCapability),
            (endpoint, Error::WrongKind),
        ] {
            assert_eq!(user::signal(slot, 1).await, Err(error));
            assert_eq!(user::timer(slot, 1).await, Err(error));
            assert_eq!(user::wait_signal(slot, Now).await, Err(error));
            assert_eq!(user::set_timer(slot, 0, 0).await, Err(error));
        }
        assert_eq!(user::signal(receive_only, 1).await, Err(Error::MissingRights));
        assert_eq!(user::timer(receive_only, 1).await, Err(Error::MissingRights));
        assert_eq!(user::wait_signal(send_only, Now).await, Err(Error::MissingRights));
        // The bits are looked at first.
        for slot in [slot, receive_only, endpoint, CapSlot::NULL] {
            assert_eq!(user::signal(slot, 0).await, Err(Error::InvalidArgument));
            assert_eq!(user::timer(slot, 0).await, Err(Error::InvalidArgument));
        }
        assert_eq!(user::wait_signal(slot, Now).await, Err(Error::WouldBlock));
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}
