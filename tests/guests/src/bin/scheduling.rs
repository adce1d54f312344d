//! Who runs when: priorities, turns among equals, and a timer that fires only when it must.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::{vec, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use guests::{
    cpus::{self, ALL, bit},
    suite,
    threads::MIDDLE,
    workers::{Own, Worker, parts},
};
use orbital_user::{
    Endpoint, Error, ExitReason, Message, Rights, Thread,
    abi::{arguments::ThreadCreate, statistics::Statistic},
    start::bootstrap,
    sync::Mutex,
    system::statistic,
    thread::{self, JoinHandle, spawn_with_priority},
};

suite! {
    cases: [
        the_most_urgent_runs_first,
        every_priority_runs_in_its_order,
        equals_run_in_the_order_of_their_start,
        a_less_urgent_one_waits_as_long_as_another_spins,
        a_more_urgent_one_that_blocks_lets_others_run,
        a_more_urgent_one_runs_at_once_when_it_is_woken,
        equals_take_turns_fairly,
        turns_go_on_after_others_came_and_went,
        waking_a_more_urgent_one_gains_no_time,
        a_yield_lets_each_equal_run_once,
        a_yield_alone_comes_back,
        a_yield_gives_nothing_to_a_less_urgent_one,
        a_lone_thread_takes_no_timer_interrupts,
        a_thread_with_less_urgent_ones_takes_no_timer_interrupts,
        no_thread_makes_one_more_urgent_than_itself,
    ],
    parallel: [threads_alone_on_their_cpus_take_no_timer_interrupts],
    roles: [],
}

static ORDER: Mutex<Vec<u64>> = Mutex::new(Vec::new());

fn note(number: u64) {
    ORDER.lock().push(number);
}

fn order() -> Vec<u64> {
    core::mem::take(&mut *ORDER.lock())
}

fn interrupts() -> u64 {
    statistic(Statistic::TimerInterrupts).unwrap()
}

fn spin(turns: u64) {
    for turn in 0..turns {
        core::hint::black_box(turn);
    }
}

/// What `round` gives when no slice ended in it, which would change the order of equals: the host may
/// take the machine away for longer than that at any time.
fn undisturbed<T>(mut round: impl FnMut() -> T) -> T {
    for _ in 0..100 {
        let before = interrupts();
        let result = round();
        if interrupts() == before {
            return result;
        }
    }
    panic!("a slice ends in every round");
}

/// Many times as long as a slice.
const LONG: u64 = 10_000_000;

fn noting(priority: u8, number: u64) -> JoinHandle<()> {
    spawn_with_priority(priority, move || note(number)).unwrap()
}

fn join_all(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        assert_eq!(thread.join(), Ok(()));
    }
}

/// Three threads, started in each order while none of them can run, run by their priorities.
fn the_most_urgent_runs_first() {
    for [a, b, c] in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        join_all([a, b, c].map(|priority| noting(priority, priority.into())));
        assert_eq!(order(), [3, 2, 1]);
    }
}

/// One thread for each of the priorities 0 to 254.
fn every_priority_runs_in_its_order() {
    // Neither up nor down: 7 has no divisor in common with 255.
    let threads: Vec<_> =
        (0..255).map(|n| (n * 7 % 255) as u8).map(|p| noting(p, p.into())).collect();
    join_all(threads);
    assert_eq!(order(), (0..255).rev().collect::<Vec<_>>());
}

/// Equal threads run first come, first served.
fn equals_run_in_the_order_of_their_start() {
    let order = undisturbed(|| {
        join_all((0..50).map(|number| noting(100, number)).collect::<Vec<_>>());
        order()
    });
    assert_eq!(order, (0..50).collect::<Vec<_>>());
}

/// Two equal threads spin for many slices; one below them does not run in all that time.
fn a_less_urgent_one_waits_as_long_as_another_spins() {
    static LOW: AtomicU64 = AtomicU64::new(0);
    static STOP: AtomicBool = AtomicBool::new(false);
    let low = spawn_with_priority(99, || {
        while !STOP.load(Relaxed) {
            LOW.fetch_add(1, Relaxed);
        }
    });
    let high = [0, 1].map(|_| {
        let spinning = || {
            let before = interrupts();
            while interrupts() - before < 20 && LOW.load(Relaxed) == 0 {
                spin(10_000);
                if STOP.load(Relaxed) {
                    return;
                }
            }
            assert_eq!(LOW.load(Relaxed), 0);
            STOP.store(true, Relaxed);
        };
        spawn_with_priority(100, spinning).unwrap()
    });
    join_all(high);
    assert_eq!(low.unwrap().join(), Ok(()));
}

/// A thread that waits for a message lets a less urgent one run, which sends it.
fn a_more_urgent_one_that_blocks_lets_others_run() {
    let endpoint = Endpoint::create().unwrap();
    let receive = endpoint.copy(Rights::RECEIVE, 0).unwrap();
    let low = spawn_with_priority(10, move || {
        note(2);
        endpoint.send(&Message::default()).unwrap();
        note(4);
    });
    let high = spawn_with_priority(20, move || {
        note(1);
        receive.receive().unwrap();
        note(3);
    });
    join_all([high.unwrap(), low.unwrap()]);
    assert_eq!(order(), [1, 2, 3, 4]);
}

/// A thread that wakes a more urgent one goes on after that has blocked again; one that wakes an
/// equal goes on at once.
fn a_more_urgent_one_runs_at_once_when_it_is_woken() {
    for (priority, expected) in [(20, [1, 2, 3, 4]), (10, [1, 3, 2, 4])] {
        let order = undisturbed(|| {
            let endpoint = Endpoint::create().unwrap();
            let receive = endpoint.copy(Rights::RECEIVE, 0).unwrap();
            let woken = spawn_with_priority(priority, move || {
                receive.receive().unwrap();
                note(2);
                receive.receive().unwrap();
            });
            let waking = spawn_with_priority(10, move || {
                note(1);
                endpoint.send(&Message::default()).unwrap();
                note(3);
                endpoint.send(&Message::default()).unwrap();
                note(4);
            });
            join_all([woken.unwrap(), waking.unwrap()]);
            order()
        });
        assert_eq!(order, expected, "woken at {priority}");
    }
}

/// Slices that each of four equal threads got, when all spin for `total` of them.
fn slices(total: usize) -> [usize; 4] {
    static LAST: AtomicUsize = AtomicUsize::new(usize::MAX);
    static SLICES: [AtomicUsize; 4] = [const { AtomicUsize::new(0) }; 4];
    for slices in &SLICES {
        slices.store(0, Relaxed);
    }
    let threads = [0, 1, 2, 3].map(|me| {
        let spinning = move || loop {
            if LAST.swap(me, Relaxed) != me {
                SLICES[me].fetch_add(1, Relaxed);
            }
            if SLICES.iter().map(|slices| slices.load(Relaxed)).sum::<usize>() >= total {
                return;
            }
        };
        spawn_with_priority(50, spinning).unwrap()
    });
    join_all(threads);
    SLICES.each_ref().map(|slices| slices.load(Relaxed))
}

/// Four equal threads that spin get as many slices each, give or take those that the host took away
/// before anything was counted.
fn equals_take_turns_fairly() {
    let slices = slices(80);
    assert!(slices.iter().all(|count| (12..=28).contains(count)), "{slices:?}");
}

/// The same while a more urgent thread comes and goes.
fn turns_go_on_after_others_came_and_went() {
    let stop = alloc::sync::Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let visitor = spawn_with_priority(60, move || {
        while !stopped.load(Relaxed) {
            spin(1000);
            // It blocks until a thread that is less urgent than all has run.
            if spawn_with_priority(50, || {}).unwrap().join().is_err() {
                return;
            }
        }
    });
    let slices = slices(40);
    stop.store(true, Relaxed);
    join_all([visitor.unwrap()]);
    assert!(slices.iter().all(|count| (5..=15).contains(count)), "{slices:?}");
}

/// A thread that wakes a more urgent one again and again does not get more of the CPU by that: its
/// equals have their turns.
fn waking_a_more_urgent_one_gains_no_time() {
    static OTHER: AtomicU64 = AtomicU64::new(0);
    let endpoint = Endpoint::create().unwrap();
    let receive = endpoint.copy(Rights::RECEIVE, 0).unwrap();
    let server =
        spawn_with_priority(60, move || while receive.receive().unwrap().message.label() == 0 {});
    let waking = spawn_with_priority(50, move || {
        let mut calls = 0u64;
        while OTHER.load(Relaxed) == 0 && calls < 200_000 {
            endpoint.send(&Message::default()).unwrap();
            calls += 1;
        }
        endpoint.send(&Message::new(1, &[]).unwrap()).unwrap();
        calls
    });
    let other = spawn_with_priority(50, || OTHER.store(1, Relaxed));
    let calls = waking.unwrap().join().unwrap();
    join_all([other.unwrap()]);
    assert!(calls < 200_000, "an equal thread had no turn in all that time");
    assert_eq!(server.unwrap().join(), Ok(()));
}

/// Three equal threads that yield take turns in their order.
fn a_yield_lets_each_equal_run_once() {
    let order = undisturbed(|| {
        join_all([1, 2, 3].map(|number| {
            let yielding = move || {
                for _ in 0..4 {
                    note(number);
                    thread::yield_now();
                }
            };
            spawn_with_priority(70, yielding).unwrap()
        }));
        order()
    });
    assert_eq!(order, [1, 2, 3].repeat(4));
}

/// A yield with nobody else to run comes back at once.
fn a_yield_alone_comes_back() {
    let switches = || statistic(Statistic::ContextSwitches).unwrap();
    let before = switches();
    for _ in 0..1000 {
        thread::yield_now();
    }
    assert_eq!(switches(), before);
}

/// A less urgent thread gets nothing from a yield.
fn a_yield_gives_nothing_to_a_less_urgent_one() {
    let low = noting(254, 2);
    for _ in 0..100 {
        thread::yield_now();
    }
    note(1);
    join_all([low]);
    assert_eq!(order(), [1, 2]);
}

/// Without anyone to switch to, the timer stays quiet for a long time.
fn a_lone_thread_takes_no_timer_interrupts() {
    // With two that spin there are interrupts in that time.
    let before = interrupts();
    join_all([0, 1].map(|_| thread::spawn(|| spin(LONG)).unwrap()));
    assert!(interrupts() - before >= 3, "{LONG} turns are too few to tell");
    let before = interrupts();
    spin(LONG);
    assert_eq!(interrupts(), before);
    join_all([thread::spawn(move || {
        let before = interrupts();
        spin(LONG);
        assert_eq!(interrupts(), before);
    })
    .unwrap()]);
}

/// Nor is there one for threads that could not run anyway.
fn a_thread_with_less_urgent_ones_takes_no_timer_interrupts() {
    let waiting: Vec<_> = (0..5).map(|number| noting(number, 0)).collect();
    let before = interrupts();
    spin(LONG);
    assert_eq!(interrupts(), before);
    join_all(waiting);
}

static ARRIVED: AtomicUsize = AtomicUsize::new(0);
static CAME: AtomicU64 = AtomicU64::new(0);

/// Waits in user mode for all others, spins for a long time, and waits for them again.
fn spins_alone(own: &Own) {
    let all = own.part(0);
    let meet = |point: usize| {
        ARRIVED.fetch_add(1, Relaxed);
        while ARRIVED.load(Relaxed) < point * all {
            core::hint::spin_loop();
        }
    };
    meet(1);
    let before = interrupts();
    spin(LONG);
    CAME.fetch_add(interrupts() - before, Relaxed);
    meet(2);
}

/// One thread on each CPU, and then one that may run on all: no CPU takes a timer interrupt.
fn threads_alone_on_their_cpus_take_no_timer_interrupts() {
    let each: Vec<u64> = (0..cpus::count()).map(bit).collect();
    for places in [each, vec![ALL]] {
        ARRIVED.store(0, Relaxed);
        let start = |cpus: &u64| Worker::on(*cpus, MIDDLE, spins_alone, parts(&[places.len()]));
        let threads: Vec<_> = places.iter().map(start).collect();
        for thread in threads {
            assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
        }
        assert_eq!(CAME.load(Relaxed), 0, "{} threads", places.len());
    }
}

/// A thread's own priority is the highest that it can give; below and at it all are allowed.
fn no_thread_makes_one_more_urgent_than_itself() {
    let allowed = |priority| {
        let arguments = ThreadCreate {
            process: bootstrap().process,
            entry: 0x1000,
            stack: 0,
            argument: 0,
            priority,
        };
        // SAFETY: the thread is never started.
        unsafe { Thread::create(&arguments) }.map(drop)
    };
    assert_eq!(allowed(255), Ok(()));
    let below = spawn_with_priority(100, move || (0..=255).map(allowed).collect::<Vec<_>>());
    let results = below.unwrap().join().unwrap();
    let expected = [vec![Ok(()); 101], vec![Err(Error::PriorityTooHigh); 155]].concat();
    assert_eq!(results, expected);
    let zero = spawn_with_priority(0, move || (allowed(0), allowed(1)));
    assert_eq!(zero.unwrap().join(), Ok((Ok(()), Err(Error::PriorityTooHigh))));
    let refused = spawn_with_priority(10, || spawn_with_priority(11, || ()).map(|_| ()));
    let refused: Result<_, ExitReason> = refused.unwrap().join();
    assert_eq!(refused, Ok(Err(Error::PriorityTooHigh)));
}
