//! Timers: they signal at their times, once or again and again, and stop when they are told to.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

mod more;

use alloc::vec::Vec;
use core::mem::ManuallyDrop;

use guests::{
    children, counters, cpus, places, raw, suite,
    threads::{MIDDLE, at, settle},
};
use orbital_user::{
    Error, Notification, Rights, Timer,
    abi::{ObjectKind, Registers, Syscall},
    capability::inspect,
    clock,
    spawn::Child,
    start::take_granted,
    timer::LEAST_PERIOD_NS,
};

use more::*;

suite! {
    cases: [
        a_timer_fires_once_and_not_early,
        a_time_that_has_passed_is_now,
        setting_again_replaces,
        timers_fire_in_the_order_of_their_deadlines,
        a_periodic_timer_does_not_drift,
        closing_disarms,
        without_its_notification_a_timer_does_nothing,
        odd_values_are_refused_or_harmless,
        a_used_up_quota_makes_no_more,
        thousands_of_timers_fire,
        timers_leave_nothing,
    ],
    parallel: [
        timers_fire_though_their_threads_move,
        a_timer_is_set_from_all_cpus,
        timers_of_all_cpus_leave_nothing,
    ],
    on "icount": [each_period_has_its_signal, missed_periods_are_one_signal],
    on "icount pinned": [a_flood_of_timers_leaves_others_their_time],
    roles: [makes_many, floods, arms_some],
}

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

fn a_timer_fires_once_and_not_early() {
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, 0b101).unwrap();
    assert_eq!(word.poll(), Err(Error::WouldBlock));
    for wait in [1, 1_000, MILLISECOND, 3 * MILLISECOND] {
        let deadline = clock::now() + wait;
        assert_eq!(timer.set(deadline), Ok(None));
        assert_eq!(word.wait(), Ok(0b101));
        assert!(clock::now() >= deadline);
        assert_eq!(word.wait_until(clock::now() + MILLISECOND), Err(Error::TimedOut));
        assert_eq!(timer.disarm(), Ok(None));
    }
}

/// The signal is there when the call returns.
fn a_time_that_has_passed_is_now() {
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, 1 << 63).unwrap();
    for deadline in [0, 1, clock::now()] {
        assert_eq!(timer.set(deadline), Ok(None));
        assert_eq!(word.poll(), Ok(1 << 63));
    }
    // All the times that have passed are one signal, and the next one is in the future.
    let start = clock::now() - 10 * MILLISECOND;
    assert_eq!(timer.set_periodic(start, HOUR), Ok(None));
    assert_eq!(word.poll(), Ok(1 << 63));
    assert_eq!(timer.disarm(), Ok(Some(start + HOUR)));
    assert_eq!(word.poll(), Err(Error::WouldBlock));
}

fn setting_again_replaces() {
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, 1).unwrap();
    let far = clock::now() + HOUR;
    assert_eq!(timer.set(far), Ok(None));
    assert_eq!(timer.set(far + 1), Ok(Some(far)));
    assert_eq!(timer.set_periodic(far + 2, HOUR), Ok(Some(far + 1)));
    assert_eq!(timer.disarm(), Ok(Some(far + 2)));
    assert_eq!(timer.disarm(), Ok(None));
    // Sooner than before.
    timer.set(far).unwrap();
    assert_eq!(timer.set(clock::now() + 1_000), Ok(Some(far)));
    assert_eq!(word.wait(), Ok(1));
    // One that was disarmed in time never fires.
    for _ in 0..50 {
        let deadline = clock::now() + 20_000;
        timer.set(deadline).unwrap();
        let was_in_time = timer.disarm().unwrap() == Some(deadline);
        assert_eq!(word.poll().is_err(), was_in_time);
        clock::sleep_until(deadline + 1);
        assert_eq!(word.poll(), Err(Error::WouldBlock));
    }
}

/// Whatever the order in which they were set; some may fire together.
fn timers_fire_in_the_order_of_their_deadlines() {
    let word = Notification::create().unwrap();
    let timers: Vec<_> = (0..64).map(|place| Timer::create(&word, 1 << place).unwrap()).collect();
    let mut lead = 5 * MILLISECOND;
    loop {
        let start = clock::now() + lead;
        for place in (0..64).map(|count| count * 37 % 64) {
            timers[place as usize].set(start + place * 50_000).unwrap();
        }
        if clock::now() < start {
            break;
        }
        // On a busy host the first may be due before the last is set: they are all set later.
        timers.iter().for_each(|timer| {
            timer.disarm().unwrap();
        });
        let _ = word.poll();
        lead *= 2;
    }
    let mut fired = 0;
    while fired != u64::MAX {
        let bits = word.wait().unwrap();
        assert_eq!(fired & bits, 0, "once");
        fired |= bits;
        assert_eq!(fired & fired.wrapping_add(1), 0, "{fired:#x}: one before its time");
    }
    assert!(timers.iter().all(|timer| timer.disarm() == Ok(None)));
}

/// The next time is the first deadline and whole periods, whenever it fires and is looked at.
fn a_periodic_timer_does_not_drift() {
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, 1).unwrap();
    for period in [LEAST_PERIOD_NS, 333_333, MILLISECOND] {
        let start = clock::now() + 1_000;
        timer.set_periodic(start, period).unwrap();
        for _ in 0..20 {
            assert_eq!(word.wait(), Ok(1));
            cpus::spin(1_000);
        }
        let now = clock::now();
        assert!(now >= start + 19 * period);
        let next = timer.disarm().unwrap().expect("it goes on");
        assert!((next - start).is_multiple_of(period) && next >= start + 20 * period);
        // It may have fired since the last wait.
        let _ = word.poll();
        assert_eq!(word.wait_until(clock::now() + 2 * period), Err(Error::TimedOut));
    }
}

fn closing_disarms() {
    let word = Notification::create().unwrap();
    for period in [HOUR, LEAST_PERIOD_NS] {
        let timer = Timer::create(&word, 1).unwrap();
        timer.set_periodic(clock::now() + MILLISECOND, period).unwrap();
        // Another name keeps it.
        let other = timer.copy(Rights::MANAGE | Rights::GRANT).unwrap();
        drop(timer);
        assert_eq!(word.wait(), Ok(1));
        drop(other);
        let _ = word.poll();
        assert_eq!(word.wait_until(clock::now() + MILLISECOND), Err(Error::TimedOut));
    }
}

/// A timer keeps the memory of its notification and no capability to it.
fn without_its_notification_a_timer_does_nothing() {
    let word = Notification::create().unwrap();
    let slot = word.slot();
    let timer = Timer::create(&word, 1).unwrap();
    let waiter = at(MIDDLE, move || ManuallyDrop::new(Notification::from_slot(slot)).wait());
    settle();
    let far = clock::now() + HOUR;
    timer.set_periodic(far, LEAST_PERIOD_NS).unwrap();
    drop(word);
    assert_eq!(waiter.join(), Ok(Err(Error::NotificationGone)), "the timer does not keep it");
    let soon = clock::now() + MILLISECOND;
    assert_eq!(timer.set_periodic(soon, LEAST_PERIOD_NS), Ok(Some(far)));
    clock::sleep_until(soon + MILLISECOND);
    assert_eq!(timer.set(0), Ok(None), "it has stopped by itself");
    assert_eq!(timer.disarm(), Ok(None));
}

fn odd_values_are_refused_or_harmless() {
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, u64::MAX).unwrap();
    let slot = timer.slot().bits();
    for period in [1, 2, LEAST_PERIOD_NS - 1] {
        for (slot, deadline) in [(slot, 0), (slot, u64::MAX), (0, 0), (u64::MAX, 0)] {
            let registers = raw::control([slot, deadline, period]);
            raw::refuse(Syscall::TimerSet, registers, Error::InvalidArgument);
        }
    }
    assert_eq!(word.poll(), Err(Error::WouldBlock));
    // What comes next would be after the end of time.
    for (deadline, period) in [(1, u64::MAX), (1, u64::MAX - 1), (clock::now(), 1 << 63)] {
        timer.set_periodic(deadline, period).unwrap();
        assert_eq!(word.poll(), Ok(u64::MAX));
        clock::sleep(MILLISECOND);
        assert_eq!(word.poll(), Err(Error::WouldBlock));
    }
    timer.set_periodic(u64::MAX - 1, LEAST_PERIOD_NS).unwrap();
    let left = raw::call(Syscall::TimerSet, raw::control([slot, u64::MAX, 0]));
    assert_eq!(left, raw::Left::well(Registers::control([u64::MAX - 1, 0, 0, 0])));
    let weak = timer.copy(Rights::GRANT).unwrap();
    assert_eq!(weak.set(0), Err(Error::MissingRights));
    let found = inspect(timer.slot()).unwrap();
    assert_eq!(found.kind, Some(ObjectKind::Timer));
    assert_eq!(found.rights, Rights::MANAGE | Rights::GRANT);
}

/// Timers until there is no more room.
fn many(word: &Notification) -> (Vec<Timer>, Error) {
    let mut timers = Vec::with_capacity(4096);
    loop {
        match Timer::create(word, 1 << (timers.len() % 64)) {
            Ok(timer) => timers.push(timer),
            Err(error) => return (timers, error),
        }
    }
}

fn makes_many() {
    let word = Notification::create().unwrap();
    for _ in 0..3 {
        let (mut timers, error) = many(&word);
        assert_eq!((error, timers.len() > 20), (Error::QuotaExceeded, true));
        // Setting takes no memory.
        let soon = clock::now() + MILLISECOND;
        for timer in &timers {
            timer.set(soon).unwrap();
        }
        word.wait().unwrap();
        timers.pop();
        assert!(Timer::create(&word, 1).is_ok(), "room for one");
    }
}

fn a_used_up_quota_makes_no_more() {
    children::succeed(&children::start("makes_many", |spawn| spawn.quota(256, 32 * 1024)));
}

/// The last one fires when all have.
fn thousands_of_timers_fire() {
    let word = Notification::create().unwrap();
    let last_word = Notification::create().unwrap();
    let start = clock::now() + 20 * MILLISECOND;
    let timers: Vec<_> = (0..4_000)
        .map(|count| {
            let timer = Timer::create(&word, 1 << (count % 64)).unwrap();
            // In no order, many of them at the same time.
            timer.set(start + count * 7_919 % 1_000 * 1_000).unwrap();
            timer
        })
        .collect();
    let last = Timer::create(&last_word, 1).unwrap();
    loop {
        let deadline = clock::now().max(start) + 2 * MILLISECOND;
        last.set(deadline).unwrap();
        let was_in_time = clock::now() < deadline;
        assert_eq!(last_word.wait(), Ok(1));
        // On a busy host it may have fired at once, before those that stand in the queue.
        if was_in_time {
            break;
        }
    }
    assert!(timers.iter().all(|timer| timer.disarm() == Ok(None)));
    let mut seen = 0;
    while let Ok(bits) = word.poll() {
        seen |= bits;
    }
    assert_eq!(seen, u64::MAX);
}

/// As many periodic timers as it can have, all as fast as can be.
fn floods() {
    let told = Notification::from_slot(take_granted(0).unwrap().into_slot());
    let (word, for_ever) = (Notification::create().unwrap(), Notification::create().unwrap());
    let (timers, _) = many(&word);
    let start = clock::now();
    for timer in &timers {
        timer.set_periodic(start, LEAST_PERIOD_NS).unwrap();
    }
    told.signal(1).unwrap();
    let _ = for_ever.wait();
}

/// Leaves timers armed, of which some fire meanwhile.
fn arms_some() {
    let word = Notification::create().unwrap();
    for wait in [1_000, 100_000, MILLISECOND, HOUR] {
        let timer = ManuallyDrop::new(Timer::create(&word, 1).unwrap());
        timer.set_periodic(clock::now() + wait, LEAST_PERIOD_NS).unwrap();
    }
    word.wait().unwrap();
}

fn start_armed() -> Child {
    children::start("arms_some", |spawn| spawn)
}

fn timers_leave_nothing() {
    places::pave(64 << 20);
    counters::leaves_nothing(20, || {
        let word = Notification::create().unwrap();
        let timers: Vec<_> = (0..10).map(|_| Timer::create(&word, 1).unwrap()).collect();
        for (timer, count) in timers.iter().zip(0..) {
            timer.set_periodic(clock::now() + count * 20_000, LEAST_PERIOD_NS).unwrap();
        }
        word.wait().unwrap();
        children::succeed(&start_armed());
    });
}
