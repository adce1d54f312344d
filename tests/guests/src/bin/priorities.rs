//! Priorities that are set while threads are in the middle of something: on one CPU, where they alone
//! decide who is next.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{vec, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use guests::{
    cpus::spin,
    own_thread, suite,
    threads::{at, endpoint, label, settle},
    workers::{Own, Worker, parts},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Rights, Thread,
    abi::statistics::Statistic,
    capability::copy_to,
    system::statistic,
    thread::{Inspection, yield_now},
};

suite! {
    cases: [
        all_256_run_strictly_from_high_to_low,
        all_255_that_are_set_run_in_their_order,
        ready_threads_run_by_their_new_priorities,
        blocked_threads_run_by_their_new_priorities,
        suspended_threads_run_by_their_new_priorities,
        a_preempted_thread_goes_on_by_its_new_priority,
        one_that_lowers_itself_gives_way_at_once,
        one_that_lowers_itself_to_an_equal_goes_on,
        one_that_raises_another_above_itself_gives_way_at_once,
        one_that_is_lowered_by_another_gives_way,
        above_the_ceiling_is_refused,
        a_ceiling_stays_when_the_priority_falls,
        new_threads_may_be_as_urgent_as_their_maker_s_ceiling,
    ],
    // By the host's time a slice may be over before the first of them has noted anything.
    on "icount pinned": [one_for_which_nothing_changes_keeps_its_turn],
    roles: [],
}

static ORDER: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
static NOTED: AtomicUsize = AtomicUsize::new(0);

fn note(number: u64) {
    ORDER[NOTED.fetch_add(1, SeqCst)].store(number, SeqCst);
}

/// What was noted since the last time.
fn order() -> Vec<u64> {
    let noted = NOTED.swap(0, SeqCst);
    ORDER[..noted].iter().map(|number| number.load(SeqCst)).collect()
}

fn notes(own: &Own) {
    note(own.argument);
}

/// Longer than a slice.
const LONG: u64 = 500_000;

fn notes_twice(own: &Own) {
    note(own.argument);
    spin(LONG);
    note(own.argument);
}

/// One thread at each of 256 priorities, each longer than a slice: none begins before all that are
/// more urgent have ended.
fn all_256_run_strictly_from_high_to_low() {
    // Neither up nor down: 7 has no divisor in common with 256.
    let priorities = (0..256).map(|n| (n * 7 % 256) as u8);
    let start = |priority: u8| Worker::start(priority, notes_twice, priority.into());
    let threads: Vec<_> = priorities.map(start).collect();
    for thread in &threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
    let expected: Vec<u64> = (0..256).rev().flat_map(|priority| [priority; 2]).collect();
    assert_eq!(order(), expected);
}

fn receives_and_notes(own: &Own) {
    endpoint(CapSlot::from_bits(own.argument)).receive().unwrap();
    let priority = own.inspect().unwrap().priority;
    note(priority.into());
    spin(LONG);
    note(priority.into());
}

fn notes_its_own_twice(own: &Own) {
    let priority = own.inspect().unwrap().priority;
    note(priority.into());
    spin(LONG);
    note(priority.into());
}

/// The same for priorities that are set: before the start, while ready and while blocked.
fn all_255_that_are_set_run_in_their_order() {
    let endpoint = Endpoint::create().unwrap();
    let mut threads = Vec::new();
    for n in 0..255 {
        let blocks = n % 3 == 0;
        let body = if blocks { receives_and_notes } else { notes_its_own_twice };
        threads.push(Worker::new(254, body, endpoint.slot().bits()));
        if blocks {
            threads[n].start().unwrap();
        }
    }
    settle();
    for n in (0..255).filter(|n| n % 3 == 1) {
        threads[n].start().unwrap();
    }
    for (n, thread) in threads.iter().enumerate() {
        thread.set_priority((n * 7 % 255) as u8).unwrap();
    }
    for n in (0..255).rev() {
        match n % 3 {
            0 => endpoint.try_send(&label(0)).unwrap(),
            1 => {}
            _ => threads[n].start().unwrap(),
        }
    }
    for thread in &threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
    let expected: Vec<u64> = (0..255).rev().flat_map(|priority| [priority; 2]).collect();
    assert_eq!(order(), expected);
}

/// Every order of three.
const ORDERS: [[u8; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];

/// Three threads, brought by `begin` to where they are, get priorities and are let go by `end`.
fn in_each_order(body: fn(&Own), argument: u64, begin: impl Fn(&Worker), end: impl Fn(&Worker)) {
    for priorities in ORDERS {
        let threads = priorities.map(|_| Worker::new(10, body, argument));
        threads.iter().for_each(&begin);
        settle_if_blocked(body);
        for (thread, priority) in threads.iter().zip(priorities) {
            assert_eq!(thread.set_priority(priority), Ok(()));
            assert_eq!(thread.inspect().unwrap().priority, priority);
        }
        threads.iter().for_each(&end);
        for thread in threads {
            assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
        }
        assert_eq!(order(), [3, 3, 2, 2, 1, 1]);
    }
}

fn settle_if_blocked(body: fn(&Own)) {
    if core::ptr::fn_addr_eq(body, receives_and_notes as fn(&Own)) {
        settle();
    }
}

/// Threads that wait for their turn have it by the priorities that they get meanwhile.
fn ready_threads_run_by_their_new_priorities() {
    in_each_order(notes_its_own_twice, 0, |thread| thread.start().unwrap(), |_| ());
}

/// Threads that wait for a message run by the priorities that they get meanwhile.
fn blocked_threads_run_by_their_new_priorities() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot().bits();
    let send = |_: &Worker| endpoint.try_send(&label(0)).unwrap();
    in_each_order(receives_and_notes, slot, |thread| thread.start().unwrap(), send);
}

/// Threads that are suspended run by the priorities that they get meanwhile.
fn suspended_threads_run_by_their_new_priorities() {
    let begin = |thread: &Worker| {
        thread.start().unwrap();
        thread.suspend().unwrap();
    };
    in_each_order(notes_its_own_twice, 0, begin, |thread| thread.resume().unwrap());
}

/// A thread that waits for its turn does not lose it by a wish that holds already.
fn one_for_which_nothing_changes_keeps_its_turn() {
    type Wish = fn(&Worker) -> Result<(), Error>;
    let wishes: [Wish; 3] = [
        |thread| thread.resume(),
        |thread| thread.set_priority(9),
        |thread| thread.set_affinity(1),
    ];
    for wish in wishes {
        let threads = [0, 1, 2].map(|number| Worker::start(9, notes, number));
        threads[..2].iter().for_each(|thread| wish(thread).unwrap());
        for thread in threads {
            assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
        }
        assert_eq!(order(), [0, 1, 2]);
    }
}

static GO: AtomicBool = AtomicBool::new(false);

/// Of two equals that spin, the one that is lowered stands still until the other has ended.
fn a_preempted_thread_goes_on_by_its_new_priority() {
    let spins = |own: &Own| {
        while !GO.load(SeqCst) {
            core::hint::spin_loop();
        }
        note(own.argument);
    };
    for lowered in [0, 1] {
        GO.store(false, SeqCst);
        let threads = [0, 1].map(|me| Worker::start(50, spins, me));
        at(50, || (0..3).for_each(|_| yield_now())).join().unwrap();
        threads[lowered].set_priority(49).unwrap();
        GO.store(true, SeqCst);
        for thread in &threads {
            thread.wait().unwrap();
        }
        assert_eq!(order(), [1 - lowered as u64, lowered as u64]);
    }
}

/// A thread that lowers itself below one that is ready does nothing more before that has ended.
fn one_that_lowers_itself_gives_way_at_once() {
    let lowers = |own: &Own| {
        note(1);
        own.set_priority(98).unwrap();
        note(3);
    };
    let low = Worker::start(99, notes, 2);
    let high = Worker::start(100, lowers, 0);
    high.wait().unwrap();
    low.wait().unwrap();
    assert_eq!(order(), [1, 2, 3]);
}

/// One that lowers itself to the level of one that is ready goes on until its slice is over.
fn one_that_lowers_itself_to_an_equal_goes_on() {
    let lowers = |own: &Own| {
        note(1);
        own.set_priority(99).unwrap();
        note(2);
    };
    // The host may take the machine away for longer than a slice.
    for _ in 0..100 {
        let interrupts = || statistic(Statistic::TimerInterrupts).unwrap();
        let before = interrupts();
        let low = Worker::start(99, notes, 3);
        let high = Worker::start(100, lowers, 0);
        high.wait().unwrap();
        low.wait().unwrap();
        let order = order();
        if interrupts() == before {
            return assert_eq!(order, [1, 2, 3]);
        }
    }
    panic!("a slice ends in every round");
}

fn raises(own: &Own) {
    let other = core::mem::ManuallyDrop::new(Thread::from_slot(own.slot()));
    own.set_priority(50).unwrap();
    note(1);
    other.set_priority(51).unwrap();
    note(3);
}

/// A thread that raises one that is ready above itself does nothing more before that has ended.
fn one_that_raises_another_above_itself_gives_way_at_once() {
    let other = Worker::new(60, notes, 2);
    other.set_priority(40).unwrap();
    other.start().unwrap();
    let raising = Worker::start(60, raises, other.slot().bits());
    raising.wait().unwrap();
    other.wait().unwrap();
    assert_eq!(order(), [1, 2, 3]);
}

/// A thread that was preempted and is lowered by the one that did it goes on behind those that are
/// between the two.
fn one_that_is_lowered_by_another_gives_way() {
    let spins = |_: &Own| {
        at_first();
        note(2);
    };
    fn at_first() {
        note(0);
        while !GO.load(SeqCst) {
            core::hint::spin_loop();
        }
    }
    let spinning = Worker::start(50, spins, 0);
    at(50, yield_now).join().unwrap();
    let between = Worker::start(45, notes, 1);
    GO.store(true, SeqCst);
    spinning.set_priority(40).unwrap();
    spinning.wait().unwrap();
    between.wait().unwrap();
    assert_eq!(order(), [0, 1, 2]);
}

/// Priorities above the thread's own ceiling, above the caller's, and above 255 are refused, and nothing
/// has changed.
fn above_the_ceiling_is_refused() {
    let thread = Worker::new(100, notes, 1);
    let before = thread.inspect().unwrap();
    for priority in [101, 128, 255] {
        assert_eq!(thread.set_priority(priority), Err(Error::PriorityTooHigh));
        assert_eq!(thread.inspect(), Ok(before));
    }
    for value in [256, 257, 1 << 32, u64::MAX] {
        let registers = orbital_user::abi::Registers::control([thread.slot().bits(), value, 0, 0]);
        let syscall = orbital_user::abi::Syscall::ThreadSetPriority;
        let refused = orbital_user::syscall::harmless(syscall, &registers).err();
        assert_eq!(refused, Some(Error::InvalidArgument), "{value:#x}");
        assert_eq!(thread.inspect(), Ok(before));
    }
    let other = Worker::new(200, notes, 2);
    let slot = copy_to(other.slot(), CapSlot::NULL, Rights::MANAGE, 0).unwrap();
    let tries = at(100, move || {
        let other = Thread::from_slot(slot);
        let priority = || other.inspect().unwrap().priority;
        let set = |wanted| (other.set_priority(wanted), priority());
        [set(101), set(200), set(100), set(101), set(0), set(100)]
    });
    let refused = |stays| (Err(Error::PriorityTooHigh), stays);
    let expected =
        [refused(200), refused(200), (Ok(()), 100), refused(100), (Ok(()), 0), (Ok(()), 100)];
    assert_eq!(tries.join(), Ok(expected));
    // The one that may goes all the way.
    assert_eq!(other.set_priority(200), Ok(()));
}

/// Who lowers a priority can raise it again, to where it began.
fn a_ceiling_stays_when_the_priority_falls() {
    let falls = |own: &Own| {
        for priority in [100, 0, 100, 50, 99, 100] {
            assert_eq!(own.set_priority(priority), Ok(()));
            assert_eq!(own.inspect().map(|i| i.priority), Ok(priority));
            assert_eq!(own.set_priority(101), Err(Error::PriorityTooHigh));
        }
    };
    assert_eq!(Worker::start(100, falls, 0).wait(), Ok(ExitReason::Exited(0)));
    let own = own_thread();
    own.set_priority(0).unwrap();
    own.set_priority(255).unwrap();
    let Inspection { priority, .. } = own.inspect().unwrap();
    assert_eq!(priority, 255);
}

/// A thread that has lowered itself makes others up to its ceiling, not above.
fn new_threads_may_be_as_urgent_as_their_maker_s_ceiling() {
    let makes = |own: &Own| {
        own.set_priority(10).unwrap();
        let above = Worker::new(100, notes, 1);
        assert_eq!(above.inspect().map(|i| i.priority), Ok(100));
        note(0);
        above.start().unwrap();
        note(2);
        above.wait().unwrap();
    };
    assert_eq!(Worker::start(100, makes, parts(&[0])).wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(order(), vec![0, 1, 2]);
}
