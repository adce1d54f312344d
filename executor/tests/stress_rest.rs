//! Real threads that rest when they have nothing to do, and timers across threads. Whoever is not
//! woken when it should be would rest for ever: a watchdog ends that.
#![forbid(unsafe_code)]

mod common;

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Mutex, OnceLock,
        atomic::{
            AtomicU64, AtomicUsize,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
    task::{Context, Poll, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use common::{own, spawn, stress};
use orbital_executor::{
    completion::Completion,
    executor::Executor,
    timer::{NEVER, TimerQueue, timeout_at},
    urgency::{IDLE, Urgency},
};

const WATCHDOG: Duration = Duration::from_secs(60);

#[test]
fn a_thread_that_rests_is_kicked_for_each_wake_that_it_has_not_seen() {
    const WAKERS: usize = 3;
    static URGENCY: Urgency = Urgency::new();
    static RESTING: OnceLock<Thread> = OnceLock::new();
    static KICKS: AtomicU64 = AtomicU64::new(0);
    static SEEN: [AtomicUsize; WAKERS] = [const { AtomicUsize::new(0) }; WAKERS];

    let each = stress(1_000_000) / WAKERS;
    RESTING.set(thread::current()).expect("once");
    let tell = |_, _| {
        if URGENCY.must_kick(1) {
            KICKS.fetch_add(1, Relaxed);
            RESTING.wait().unpark();
        }
    };
    let owner = own(Executor::with(Some(tell), None));
    let announced: &'static [AtomicUsize; WAKERS] = Box::leak(Box::default());
    let wakers: &'static Mutex<Vec<Waker>> = Box::leak(Box::default());
    for number in 0..WAKERS {
        let mut is_new = true;
        spawn(
            owner,
            poll_fn(move |context| {
                if std::mem::take(&mut is_new) {
                    wakers.lock().unwrap().push(context.waker().clone());
                }
                let announced = announced[number].load(Relaxed);
                SEEN[number].store(announced, Release);
                if announced == each { Poll::Ready(()) } else { Poll::Pending }
            }),
        );
    }
    assert_eq!(owner.poll_ready(WAKERS), WAKERS);
    let mut published = 0_u64;
    thread::scope(|scope| {
        for number in 0..WAKERS {
            let waker = wakers.lock().unwrap()[number].clone();
            scope.spawn(move || {
                for turn in 1..=each {
                    announced[number].store(turn, Relaxed);
                    waker.wake_by_ref();
                    // Each second one waits for the answer, so that the other side rests often.
                    let start = Instant::now();
                    while number % 2 == 0 && SEEN[number].load(Acquire) < turn {
                        assert!(start.elapsed() < WATCHDOG, "nobody answers");
                        thread::yield_now();
                    }
                }
            });
        }
        while owner.finished() < WAKERS as u64 {
            published += 1;
            if URGENCY.settle(IDLE, || !owner.has_work()) {
                let start = Instant::now();
                thread::park_timeout(WATCHDOG);
                assert!(start.elapsed() < WATCHDOG, "a wake is lost");
            }
            URGENCY.look_out();
            owner.poll_ready(8);
        }
    });
    for seen in &SEEN {
        assert_eq!(seen.load(Relaxed), each);
    }
    assert!(KICKS.load(Relaxed) <= published, "kicked twice for one urgency");
    assert_eq!(owner.wakes(), owner.polls());
}

#[test]
fn timers_are_armed_and_dropped_on_other_threads_than_the_one_that_fires() {
    const THREADS: usize = 3;
    let timers = TimerQueue::new();
    let (running, fired) = (AtomicUsize::new(THREADS), AtomicUsize::new(0));
    let slept = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (timers, running, slept) = (&timers, &running, &slept);
            scope.spawn(move || {
                let mut context = Context::from_waker(Waker::noop());
                for turn in 0..stress(200_000) / THREADS {
                    let deadline = timers.now() + (turn * 7 + number) as u64 % 50;
                    let mut first = pin!(timers.sleep_until(deadline));
                    let mut second = pin!(timers.sleep_until(deadline + 3));
                    while first.as_mut().poll(&mut context).is_pending() {
                        // Dropped in all states: not armed, waiting, fired and not polled.
                        if turn % 3 == 0 && second.as_mut().poll(&mut context).is_ready() {
                            break;
                        }
                        thread::yield_now();
                    }
                    slept.fetch_add(usize::from(timers.now() >= deadline), Relaxed);
                }
                running.fetch_sub(1, Release);
            });
        }
        let mut now = 0;
        while running.load(Acquire) > 0 {
            now += 1;
            fired.fetch_add(timers.fire(now), Relaxed);
            thread::yield_now();
        }
    });
    assert_eq!(slept.into_inner(), stress(200_000) / THREADS * THREADS, "woken too early");
    assert!(fired.into_inner() > 0);
    assert_eq!((timers.next_deadline(), timers.fire(NEVER - 1)), (NEVER, 0), "someone is left");
}

#[test]
fn of_an_answer_and_a_deadline_and_a_cancelling_one_decides() {
    #[derive(Debug, PartialEq, Eq, Clone, Copy)]
    enum Outcome {
        Answered,
        Cancelled,
    }
    let (rounds, timers) = (stress(100_000), TimerQueue::new());
    let outcomes: Vec<_> = (0..rounds).map(|_| Completion::new()).collect();
    let wins = [const { AtomicUsize::new(0) }; 2];
    let mut got = [0; 2];
    thread::scope(|scope| {
        let (outcomes, wins) = (&outcomes, &wins);
        for outcome in [Outcome::Answered, Outcome::Cancelled] {
            scope.spawn(move || {
                for completion in outcomes {
                    let won = completion.complete(outcome).is_ok();
                    wins[outcome as usize].fetch_add(usize::from(won), Relaxed);
                }
            });
        }
        let mut context = Context::from_waker(Waker::noop());
        for (round, completion) in outcomes.iter().enumerate() {
            let deadline = round as u64 + 1;
            let mut waiting = pin!(timeout_at(&timers, deadline, completion.wait()));
            let mut turns = 0;
            let outcome = loop {
                match waiting.as_mut().poll(&mut context) {
                    Poll::Ready(outcome) => break outcome,
                    // Some deadlines come early.
                    Poll::Pending if turns == 0 && round % 3 == 0 => {
                        timers.fire(deadline);
                    }
                    Poll::Pending => thread::yield_now(),
                }
                turns += 1;
            };
            // Who gave up can still look what became of it.
            let start = Instant::now();
            let outcome = outcome.unwrap_or_else(|_| {
                loop {
                    assert!(start.elapsed() < WATCHDOG, "nobody decides");
                    if let Some(outcome) = completion.try_take() {
                        break outcome;
                    }
                    thread::yield_now();
                }
            });
            got[outcome as usize] += 1;
            assert!(completion.try_take().is_none());
        }
    });
    assert_eq!(wins.map(AtomicUsize::into_inner), got, "the waiter gets what the winner said");
    assert_eq!(got.iter().sum::<usize>(), rounds);
}
