//! Notifications: signals coalesce, none is lost, and those who wait for them are served in their order.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod more;

use alloc::vec::Vec;
use core::mem::ManuallyDrop;

use guests::{
    children, counters, places, raw, suite,
    threads::{self, MIDDLE, at, settle},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Notification, Rights,
    abi::{ObjectKind, Registers, Syscall},
    capability::inspect,
    clock,
    start::take_granted,
    thread::JoinHandle,
};

use more::*;

suite! {
    cases: [
        signals_coalesce_until_they_are_taken,
        what_is_there_needs_no_wait,
        a_wait_ends_at_its_deadline,
        the_more_urgent_of_those_who_wait_are_served_first,
        a_mask_limits_what_is_signalled,
        odd_values_are_refused_or_harmless,
        a_waiter_that_is_killed_leaves_its_place,
        a_chosen_waiter_that_is_killed_passes_its_signals_on,
        a_suspended_waiter_keeps_its_signals,
        everyone_is_told_when_the_last_capability_goes,
        a_child_signals_through_what_it_was_given,
        a_used_up_quota_makes_no_more,
        notifications_leave_nothing,
    ],
    parallel: [
        a_signal_wakes_on_every_pair_of_cpus,
        a_chosen_waiter_is_killed_on_every_pair_of_cpus,
        signals_of_all_cpus_are_each_taken_once,
        deadlines_lose_no_signal,
        closing_ends_the_waits_of_all_cpus,
    ],
    roles: [signals, makes_many],
}

/// The notification in `slot`, which stays open.
fn notification(slot: CapSlot) -> ManuallyDrop<Notification> {
    ManuallyDrop::new(Notification::from_slot(slot))
}

fn signals_coalesce_until_they_are_taken() {
    let word = Notification::create().unwrap();
    assert_eq!(word.poll(), Err(Error::WouldBlock));
    for bits in [1, 1 << 63, 1, 6] {
        word.signal(bits).unwrap();
    }
    assert_eq!(word.poll(), Ok(1 << 63 | 7));
    assert_eq!(word.poll(), Err(Error::WouldBlock));
    for place in 0..64 {
        word.signal(1 << place).unwrap();
        assert_eq!(word.wait(), Ok(1 << place));
    }
}

fn what_is_there_needs_no_wait() {
    let word = Notification::create().unwrap();
    for deadline in [0, 1, clock::now(), u64::MAX - 1, u64::MAX] {
        word.signal(5).unwrap();
        assert_eq!(word.wait_until(deadline), Ok(5));
    }
}

fn a_wait_ends_at_its_deadline() {
    let word = Notification::create().unwrap();
    for wait in [1, 1_000, 2_000_000] {
        let deadline = clock::now() + wait;
        assert_eq!(word.wait_until(deadline), Err(Error::TimedOut));
        assert!(clock::now() >= deadline);
    }
    assert_eq!(word.wait_until(1), Err(Error::TimedOut));
    // Nothing stayed behind in the queue.
    word.signal(1).unwrap();
    assert_eq!(word.poll(), Ok(1));
}

/// Threads that wait, one after the other.
fn waiting(slot: CapSlot, priorities: &[u8]) -> Vec<JoinHandle<Result<u64, Error>>> {
    let wait = |priority: &u8| {
        let thread = at(*priority, move || notification(slot).wait());
        settle();
        thread
    };
    priorities.iter().map(wait).collect()
}

/// Equals in the order in which they came; each signal is for one, who takes all bits.
fn the_more_urgent_of_those_who_wait_are_served_first() {
    let word = Notification::create().unwrap();
    let threads = waiting(word.slot(), &[MIDDLE, 200, 1, MIDDLE]);
    for place in [1, 0, 3, 2] {
        word.signal(1 << place | 1 << 40).unwrap();
    }
    word.signal(1 << 50).unwrap();
    assert_eq!(word.poll(), Ok(1 << 50), "the others are given away");
    for (place, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join(), Ok(Ok(1 << place | 1 << 40)));
    }
}

/// All or nothing, for signals and for timers; kept by copies; no limit on what is taken.
fn a_mask_limits_what_is_signalled() {
    let word = Notification::create().unwrap();
    let all = Rights::SEND | Rights::RECEIVE | Rights::GRANT;
    for mask in [1, 0b1010, 1 << 63, u64::MAX] {
        let masked = word.copy(all, mask).unwrap();
        assert_eq!(masked.copy(all, mask).err(), Some(Error::AlreadyBadged));
        assert_eq!(inspect(masked.slot()).unwrap().badge, mask);
        let kept = masked.copy(Rights::SEND, 0).unwrap();
        for bits in (0..64).map(|place| 1 << place).chain([mask, !mask, u64::MAX, 0b11]) {
            let expected = match bits {
                0 => Err(Error::InvalidArgument),
                _ if bits & !mask != 0 => Err(Error::MissingRights),
                _ => Ok(()),
            };
            for capability in [&masked, &kept] {
                assert_eq!(capability.signal(bits), expected, "{mask:#x} {bits:#x}");
                let timer = orbital_user::Timer::create(capability, bits);
                assert_eq!(timer.map(|_| ()), expected, "{mask:#x} {bits:#x}");
            }
            let left = if expected.is_ok() { Ok(bits) } else { Err(Error::WouldBlock) };
            assert_eq!(word.poll(), left);
        }
        word.signal(!mask | 1).unwrap();
        assert_eq!(masked.poll(), Ok(!mask | 1));
    }
}

/// What a call does not use is not looked at; what it gives stands in one register.
fn odd_values_are_refused_or_harmless() {
    let word = Notification::create().unwrap();
    let slot = word.slot().bits();
    for slot in [slot, 0, u64::MAX] {
        raw::refuse(Syscall::NotificationSignal, raw::control([slot, 0]), Error::InvalidArgument);
        raw::refuse(Syscall::TimerCreate, raw::control([slot, 0]), Error::InvalidArgument);
    }
    for bits in [1, 1 << 63, u64::MAX, 0xffff_8000_0000_0000] {
        let left = raw::call(Syscall::NotificationSignal, raw::control([slot, bits]));
        assert_eq!(left, raw::Left::well(Registers::default()));
        let left = raw::call(Syscall::NotificationWait, raw::control([slot, 0]));
        assert_eq!(left, raw::Left::well(Registers::control([bits, 0, 0, 0])));
        raw::refuse(Syscall::NotificationWait, raw::control([slot, 0]), Error::WouldBlock);
    }
    let left = raw::call(Syscall::NotificationCreate, raw::NOISE);
    let made = Notification::from_slot(CapSlot::from_bits(left.registers.control[0]));
    assert_eq!(left, raw::Left::well(Registers::control([made.slot().bits(), 0, 0, 0])));
    let found = inspect(made.slot()).unwrap();
    assert_eq!(found.kind, Some(ObjectKind::Notification));
    assert_eq!(found.rights, Rights::SEND | Rights::RECEIVE | Rights::GRANT);
}

fn a_waiter_that_is_killed_leaves_its_place() {
    for victim in 0..3 {
        let word = Notification::create().unwrap();
        let mut threads = waiting(word.slot(), &[MIDDLE; 3]);
        threads::end(threads.remove(victim));
        for bits in [1, 2, 4] {
            word.signal(bits).unwrap();
        }
        assert_eq!(word.poll(), Ok(4), "nobody was there for the third");
        let given: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        assert_eq!(given, [Ok(Ok(1)), Ok(Ok(2))]);
    }
}

/// It was woken and did not run: this thread is more urgent. Its signals go to the next, or back.
fn a_chosen_waiter_that_is_killed_passes_its_signals_on() {
    for others in 0..3 {
        let word = Notification::create().unwrap();
        let mut threads = waiting(word.slot(), &[MIDDLE, MIDDLE, MIDDLE][..1 + others]);
        word.signal(5).unwrap();
        assert_eq!(word.poll(), Err(Error::WouldBlock), "it is given away");
        threads.remove(0).thread().kill().unwrap();
        word.signal(8).unwrap();
        let expected = [Ok(13), Ok(8), Err(Error::WouldBlock)];
        assert_eq!(word.poll(), expected[others]);
        let given: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        assert_eq!(given, [Ok(Ok(5)), Ok(Ok(8))][..others]);
    }
}

fn a_suspended_waiter_keeps_its_signals() {
    let word = Notification::create().unwrap();
    let threads = waiting(word.slot(), &[MIDDLE; 2]);
    threads[0].thread().suspend().unwrap();
    word.signal(1).unwrap();
    settle();
    assert!(threads::is_alive(&threads[0]), "it was chosen, and does not run");
    word.signal(2).unwrap();
    assert_eq!(word.poll(), Err(Error::WouldBlock));
    threads[0].thread().resume().unwrap();
    let given: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
    assert_eq!(given, [Ok(Ok(1)), Ok(Ok(2))]);
}

fn everyone_is_told_when_the_last_capability_goes() {
    let word = Notification::create().unwrap();
    let copy = word.copy(Rights::SEND, 0).unwrap();
    let threads = waiting(word.slot(), &[MIDDLE; 3]);
    drop(word);
    settle();
    assert!(threads.iter().all(threads::is_alive), "one is left");
    drop(copy);
    for thread in threads {
        assert_eq!(thread.join(), Ok(Err(Error::NotificationGone)));
    }
}

/// Signals what it may, and tries what it may not.
fn signals() {
    let word = Notification::from_slot(take_granted(0).unwrap().into_slot());
    assert_eq!(word.poll(), Err(Error::MissingRights));
    assert_eq!(word.copy(Rights::SEND, 0).err(), Some(Error::MissingRights));
    assert_eq!(word.signal(4), Err(Error::MissingRights));
    word.signal(2).unwrap();
    let _ = Endpoint::create().unwrap().receive();
}

/// It is the signal's that counts: the child's end takes nothing back.
fn a_child_signals_through_what_it_was_given() {
    let word = Notification::create().unwrap();
    let child = children::start("signals", |spawn| spawn.grant(word.slot(), Rights::SEND, 3));
    assert_eq!(word.wait(), Ok(2));
    child.process.kill().unwrap();
    assert_eq!(child.wait(), Ok(ExitReason::Killed));
    assert_eq!(word.poll(), Err(Error::WouldBlock));
}

fn makes_many() {
    for _ in 0..3 {
        let mut words = Vec::with_capacity(4096);
        let error = loop {
            match Notification::create() {
                Ok(word) => words.push(word),
                Err(error) => break error,
            }
        };
        assert_eq!((error, words.len() > 20), (Error::QuotaExceeded, true));
        // What takes no memory works.
        words[0].signal(9).unwrap();
        assert_eq!(words[0].wait(), Ok(9));
        words.pop();
        assert!(Notification::create().is_ok(), "room for one");
    }
}

fn a_used_up_quota_makes_no_more() {
    children::succeed(&children::start("makes_many", |spawn| spawn.quota(256, 32 * 1024)));
}

fn notifications_leave_nothing() {
    places::pave(64 << 20);
    counters::leaves_nothing(50, || {
        let word = Notification::create().unwrap();
        let threads = waiting(word.slot(), &[MIDDLE; 2]);
        word.signal(1).unwrap();
        let soon = clock::now() + 20_000;
        assert_eq!(word.wait_until(soon), Err(Error::TimedOut));
        drop(word);
        for (thread, given) in threads.into_iter().zip([Ok(1), Err(Error::NotificationGone)]) {
            assert_eq!(thread.join(), Ok(given));
        }
    });
}
