//! Timers that are armed, armed anew and dropped, while the queue is told what time it is.

use executor_loom::{
    planted::Bug,
    timer::{NEVER, TimerQueue},
};
use loom::thread;

use crate::{
    by_hand::ByHand,
    explore::{Model, RACE, model, with_static},
};

/// A future that waits until `deadline`, which was polled once.
fn sleeper(timers: &'static TimerQueue, deadline: u64) -> ByHand {
    let mut sleeper = ByHand::new(Box::pin(timers.sleep_until(deadline)));
    sleeper.poll();
    sleeper
}

/// One goes to sleep while its deadline comes: it is woken, or does not fall asleep.
fn nobody_sleeps_past_the_deadline() {
    let run = |timers: &'static TimerQueue| {
        let clock = thread::spawn(|| timers.fire(10));
        let sleeper = sleeper(timers, 10);
        let fired = clock.join().unwrap();
        assert_eq!(fired, sleeper.wakes());
        assert_eq!(usize::from(sleeper.is_pending()), fired, "it sleeps on");
        assert_eq!(timers.next_deadline(), NEVER);
    };
    // SAFETY: the thread is joined, and the sleeper is gone.
    unsafe { with_static(TimerQueue::new(), run) };
}

/// Of three with the same deadline the first is dropped, and the second is polled again, while the
/// deadline comes.
fn a_timer_is_dropped_while_others_fire() {
    let run = |timers: &'static TimerQueue| {
        let [first, mut second, third] = std::array::from_fn(|_| sleeper(timers, 10));
        let clock = thread::spawn(|| timers.fire(10));
        drop(first);
        second.poll();
        let fired = clock.join().unwrap();
        assert!(!second.is_pending() || second.wakes() == 1, "it sleeps on");
        assert_eq!(third.wakes(), 1, "it sleeps on");
        assert!((1..=3).contains(&fired));
        assert_eq!(timers.next_deadline(), NEVER);
    };
    // SAFETY: the thread is joined, and the sleepers are gone.
    unsafe { with_static(TimerQueue::new(), run) };
}

/// A timer is armed for later, by another future in its place, while its first deadline comes.
fn a_timer_is_armed_anew_while_it_fires() {
    let run = |timers: &'static TimerQueue| {
        let sleeping = Box::leak(Box::new(sleeper(timers, 10)));
        let clock = thread::spawn(|| timers.fire(10));
        sleeping.replace(Box::pin(timers.sleep_until(20)));
        sleeping.poll();
        let early = clock.join().unwrap();
        assert_eq!(sleeping.wakes(), early);
        assert_eq!(timers.next_deadline(), 20);
        assert_eq!(timers.fire(20), 1);
        assert_eq!(sleeping.wakes(), early + 1, "it sleeps on");
        sleeping.poll();
        assert!(!sleeping.is_pending());
        // SAFETY: leaked above, and used no more.
        drop(unsafe { Box::from_raw(sleeping) });
    };
    // SAFETY: the thread is joined, and the sleeper is gone.
    unsafe { with_static(TimerQueue::new(), run) };
}

pub fn models() -> Vec<Model> {
    const SLEEPS: &str = "it sleeps on";
    [
        model(
            "a timer that is armed while its deadline comes is not overslept",
            nobody_sleeps_past_the_deadline,
            &[
                (Bug::TimerChecksUnlocked, SLEEPS),
                (Bug::FireNotesTimeLate, SLEEPS),
                (Bug::UnlockRelaxed, RACE),
            ],
        ),
        model(
            "a timer is dropped and another one polled while they fire",
            a_timer_is_dropped_while_others_fire,
            &[(Bug::LockAdmitsAll, RACE)],
        ),
        model(
            "a timer is armed anew while it fires",
            a_timer_is_armed_anew_while_it_fires,
            &[(Bug::LockAdmitsAll, RACE)],
        ),
    ]
    .concat()
}
