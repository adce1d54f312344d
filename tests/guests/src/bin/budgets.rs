//! Threads with a budget: how much of the CPU they get beside others, alone, and in whatever they are
//! when the budget is given, used up, or taken back. With counted instructions all times are exact.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use guests::{
    counters::leaves_nothing,
    cpus, suite,
    threads::MIDDLE,
    workers::{Own, Worker, parts},
};
use orbital_user::{CapSlot, Error, ExitReason, Rights, Thread, capability::copy_to, clock};

suite! {
    cases: [
        shares_outside_the_limits_are_refused,
        rights_and_ends_are_checked,
        budgets_leave_nothing,
        a_thread_that_waits_for_its_period_is_stopped_ended_and_moved,
    ],
    parallel: [a_budget_goes_along_to_other_cpus],
    on "icount pinned": [
        a_budget_of_two_in_ten_is_a_fifth_beside_an_equal,
        two_budgets_are_kept_in_the_order_of_their_priorities,
        two_equal_budgets_are_kept,
        the_less_urgent_are_not_starved,
        a_thread_alone_gets_no_more,
        a_budget_is_given_changed_and_taken_back_while_it_runs,
        who_sleeps_keeps_its_budget,
    ],
    roles: [],
}

const MS: u64 = 1_000_000;
/// The limits that `Thread::set_budget` names.
const LEAST: u64 = 50_000;
const HOUR: u64 = 3_600_000_000_000;

static TURNS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
/// Who ran after whom: its number, four bits each.
static ORDER: [AtomicUsize; 256] = [const { AtomicUsize::new(0) }; 256];
static LAST: AtomicUsize = AtomicUsize::new(usize::MAX);
static SWITCHES: AtomicUsize = AtomicUsize::new(0);

/// Counts its turns, and notes when it runs after another.
fn counts(own: &Own) {
    let me = own.part(0);
    loop {
        if LAST.swap(me, SeqCst) != me {
            let place = SWITCHES.fetch_add(1, SeqCst);
            if let Some(noted) = ORDER.get(place) {
                noted.store(me, SeqCst);
            }
        }
        TURNS[me].fetch_add(1, SeqCst);
    }
}

fn start(priority: u8, me: usize, share: Option<(u64, u64)>) -> Worker {
    let worker = Worker::new(priority, counts, parts(&[me]));
    if let Some((budget, period)) = share {
        worker.set_budget(budget, period).unwrap();
    }
    worker
}

/// What each thread did in `time` nanoseconds, of which the case itself takes next to nothing.
fn turns_in(time: u64) -> [u64; 3] {
    let before = TURNS.each_ref().map(|turns| turns.load(SeqCst));
    clock::sleep(time);
    let after = TURNS.each_ref().map(|turns| turns.load(SeqCst));
    core::array::from_fn(|me| after[me] - before[me])
}

/// `part` of `whole`, in hundredths of a percent.
fn share(part: u64, whole: u64) -> u64 {
    part * 10_000 / whole
}

#[track_caller]
fn is_about(share: u64, percent: u64) {
    assert!(
        share.abs_diff(percent * 100) <= 100,
        "{share} hundredths of a percent, not {percent} %"
    );
}

/// 2 ms of 10 ms give a spinning thread 20 % of the CPU, and its equal all the rest.
fn a_budget_of_two_in_ten_is_a_fifth_beside_an_equal() {
    let limited = start(MIDDLE, 0, Some((2 * MS, 10 * MS)));
    let equal = start(MIDDLE, 1, None);
    equal.start().unwrap();
    limited.start().unwrap();
    clock::sleep(20 * MS);
    let turns = turns_in(500 * MS);
    is_about(share(turns[0], turns[0] + turns[1]), 20);
}

/// Three threads above each other with 2 and 3 of 10 ms, and without a limit: in each period each of
/// them runs once, the most urgent first.
fn two_budgets_are_kept_in_the_order_of_their_priorities() {
    let threads = [
        start(MIDDLE + 2, 0, Some((2 * MS, 10 * MS))),
        start(MIDDLE + 1, 1, Some((3 * MS, 10 * MS))),
        start(MIDDLE, 2, None),
    ];
    threads.iter().for_each(|thread| thread.start().unwrap());
    clock::sleep(20 * MS);
    SWITCHES.store(0, SeqCst);
    LAST.store(usize::MAX, SeqCst);
    let turns = turns_in(300 * MS);
    let switches = SWITCHES.load(SeqCst);
    let total = turns.iter().sum();
    [20, 30, 50]
        .into_iter()
        .zip(turns)
        .for_each(|(percent, turns)| is_about(share(turns, total), percent));
    let order: Vec<_> = ORDER[..switches].iter().map(|who| who.load(SeqCst)).collect();
    // From the first time on that the most urgent one comes.
    let from = order.iter().position(|who| *who == 0).unwrap();
    let (periods, rest) = order[from..].as_chunks::<3>();
    assert!(periods.len() >= 28 && periods.iter().all(|period| *period == [0, 1, 2]), "{order:?}");
    assert!([0, 1, 2].starts_with(rest), "{order:?}");
}

/// Two equal threads with a budget beside an equal one without: each gets its share.
fn two_equal_budgets_are_kept() {
    let threads = [
        start(MIDDLE, 0, Some((2 * MS, 10 * MS))),
        start(MIDDLE, 1, Some((4 * MS, 20 * MS))),
        start(MIDDLE, 2, None),
    ];
    threads.iter().for_each(|thread| thread.start().unwrap());
    clock::sleep(40 * MS);
    let turns = turns_in(400 * MS);
    let total = turns.iter().sum();
    [20, 20, 60]
        .into_iter()
        .zip(turns)
        .for_each(|(percent, turns)| is_about(share(turns, total), percent));
}

/// An urgent thread that never waits by itself leaves four fifths to one far below.
fn the_less_urgent_are_not_starved() {
    let urgent = start(MIDDLE + 50, 0, Some((2 * MS, 10 * MS)));
    let other = start(1, 1, None);
    other.start().unwrap();
    urgent.start().unwrap();
    clock::sleep(20 * MS);
    let turns = turns_in(300 * MS);
    is_about(share(turns[1], turns[0] + turns[1]), 80);
}

/// Without anyone else the budget is kept too: against the same thread without one.
fn a_thread_alone_gets_no_more() {
    let thread = start(MIDDLE, 0, None);
    thread.start().unwrap();
    clock::sleep(10 * MS);
    let all = turns_in(100 * MS)[0];
    thread.set_budget(3 * MS, 10 * MS).unwrap();
    clock::sleep(20 * MS);
    is_about(share(turns_in(300 * MS)[0], 3 * all), 30);
}

/// Whether it runs or waits for its period just then.
fn a_budget_is_given_changed_and_taken_back_while_it_runs() {
    let thread = start(MIDDLE, 0, None);
    let equal = start(MIDDLE, 1, None);
    thread.start().unwrap();
    equal.start().unwrap();
    let measured = || {
        clock::sleep(40 * MS);
        let turns = turns_in(200 * MS);
        share(turns[0], turns[0] + turns[1])
    };
    is_about(measured(), 50);
    for (budget, percent) in [(MS, 10), (4 * MS, 40), (2 * MS, 20)] {
        // Not always at the same point of a period.
        clock::sleep(budget / 3);
        thread.set_budget(budget, 10 * MS).unwrap();
        is_about(measured(), percent);
    }
    thread.clear_budget().unwrap();
    is_about(measured(), 50);
}

/// A thread that sleeps most of the time has its whole budget when it wakes, and no more.
fn who_sleeps_keeps_its_budget() {
    static RAN: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
    let works = |_: &Own| {
        for round in 0..10 {
            // A period begins when it wakes.
            clock::sleep(25 * MS);
            let start = clock::now();
            cpus::spin(100_000);
            RAN[0].fetch_max(clock::now() - start, SeqCst);
            // Spins until it was stopped.
            let mut last = clock::now();
            while clock::now() - last < 2 * MS {
                last = clock::now();
            }
            RAN[1].store(round + 1, SeqCst);
        }
    };
    let thread = Worker::new(MIDDLE, works, 0);
    thread.set_budget(2 * MS, 10 * MS).unwrap();
    thread.start().unwrap();
    assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(RAN[1].load(SeqCst), 10);
    let longest = RAN[0].load(SeqCst);
    assert!(longest < 2 * MS, "stopped after {longest} ns");
}

/// Each value that is out of range, alone and with a good partner, changes nothing.
fn shares_outside_the_limits_are_refused() {
    let thread = Worker::new(MIDDLE, |_| (), 0);
    for (budget, period) in [
        (0, MS),
        (MS, 0),
        (LEAST - 1, MS),
        (1, 1),
        (MS + 1, MS),
        (MS, HOUR + 1),
        (HOUR + 1, HOUR + 1),
        (u64::MAX, u64::MAX),
        (MS, u64::MAX),
        (u64::MAX, MS),
    ] {
        assert_eq!(
            thread.set_budget(budget, period),
            Err(Error::InvalidArgument),
            "{budget} {period}"
        );
    }
    for (budget, period) in [(LEAST, LEAST), (LEAST, HOUR), (HOUR, HOUR), (MS, 10 * MS)] {
        assert_eq!(thread.set_budget(budget, period), Ok(()), "{budget} {period}");
    }
    assert_eq!(thread.clear_budget(), Ok(()));
    assert_eq!(thread.clear_budget(), Ok(()), "there is none");
}

/// `MANAGE` is needed; an ended thread has no budget; other handles have their own errors.
fn rights_and_ends_are_checked() {
    let thread = Worker::new(MIDDLE, |_| (), 0);
    let watched =
        Thread::from_slot(copy_to(thread.slot(), CapSlot::NULL, Rights::WAIT, 0).unwrap());
    assert_eq!(watched.set_budget(MS, MS), Err(Error::MissingRights));
    thread.kill().unwrap();
    assert_eq!(thread.set_budget(MS, MS), Err(Error::Ended));
    let nothing = core::mem::ManuallyDrop::new(Thread::from_slot(CapSlot::NULL));
    assert_eq!(nothing.set_budget(MS, MS), Err(Error::EmptySlot));
}

/// Budgets that are given, replaced, used up, taken back, or end with their thread.
fn budgets_leave_nothing() {
    leaves_nothing(3, || {
        let thread = start(MIDDLE, 0, Some((LEAST, HOUR)));
        thread.start().unwrap();
        cpus_turn();
        thread.set_budget(LEAST, HOUR / 2).unwrap();
        cpus_turn();
        thread.clear_budget().unwrap();
        thread.set_budget(MS, MS).unwrap();
        drop(start(MIDDLE, 1, Some((MS, MS))));
    });
}

/// Lets the less urgent run for more than the least budget.
fn cpus_turn() {
    clock::sleep(4 * LEAST);
}

/// A less urgent thread runs on `cpu`: so `me`, which spins there, has to wait.
fn stands_still(cpu: usize, me: usize) {
    let run_out = || Worker::on(cpus::bit(cpu), 1, |_| (), 0).wait().unwrap();
    run_out();
    let before = TURNS[me].load(SeqCst);
    run_out();
    assert_eq!(TURNS[me].load(SeqCst), before);
}

/// It has some of its budget, and runs.
fn goes_on(me: usize) {
    let before = TURNS[me].load(SeqCst);
    while TURNS[me].load(SeqCst) == before {
        cpus_turn();
    }
}

/// A thread of this CPU with nothing left for an hour.
fn used_up(me: usize) -> Worker {
    let thread = start(MIDDLE, me, Some((10 * MS, HOUR)));
    thread.set_affinity(1).unwrap();
    thread.start().unwrap();
    goes_on(me);
    stands_still(0, me);
    thread
}

/// In all of these it is in no queue; what is asked of it is done nevertheless, and it goes on with a
/// new budget and not before.
fn a_thread_that_waits_for_its_period_is_stopped_ended_and_moved() {
    let thread = used_up(0);
    assert_eq!(thread.set_priority(MIDDLE - 1), Ok(()));
    assert_eq!(thread.inspect().unwrap().priority, MIDDLE - 1);
    assert_eq!(thread.set_affinity(1), Ok(()));
    stands_still(0, 0);
    assert_eq!((thread.suspend(), thread.resume()), (Ok(()), Ok(())));
    stands_still(0, 0);
    thread.suspend().unwrap();
    thread.clear_budget().unwrap();
    // It is suspended.
    stands_still(0, 0);
    thread.resume().unwrap();
    goes_on(0);
    thread.set_budget(10 * MS, HOUR).unwrap();
    goes_on(0);
    stands_still(0, 0);
    assert_eq!(used_up(1).kill(), Ok(()));
    stands_still(0, 1);
}

/// On every CPU and on its way between them, a thread gets no more than its budget.
fn a_budget_goes_along_to_other_cpus() {
    let thread = used_up(0);
    for cpu in (0..cpus::count()).cycle().take(3 * cpus::count()) {
        thread.set_affinity(cpus::bit(cpu)).unwrap();
        stands_still(cpu, 0);
    }
    thread.clear_budget().unwrap();
    for cpu in 0..cpus::count() {
        thread.set_affinity(cpus::bit(cpu)).unwrap();
        goes_on(0);
    }
}
