//! When exactly the CPU goes from one thread to the next: to the instruction where a more urgent one
//! becomes ready, to the slice among equals.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
};

use guests::{
    cpus::spin,
    suite,
    threads::{endpoint, label, settle},
    tiny::Tiny,
    workers::{Own, Worker},
};
use orbital_user::{
    Endpoint, ExitReason, IpcError, Thread,
    abi::{Syscall, statistics::Statistic},
    clock,
    endpoint::reply,
    println,
    system::statistic,
};

suite! {
    cases: [
        who_is_sent_a_message_runs_before_the_next_instruction,
        whose_message_is_taken_runs_before_the_next_instruction,
        who_is_called_runs_before_the_next_instruction,
        who_is_answered_runs_before_the_next_instruction,
        who_is_started_runs_before_the_next_instruction,
        who_is_resumed_runs_before_the_next_instruction,
        who_is_raised_runs_before_the_next_instruction,
        who_waited_for_a_thread_s_end_runs_before_the_next_instruction,
        whose_endpoint_goes_runs_before_the_next_instruction,
    ],
    on "icount pinned": [
        whose_time_comes_runs_at_once,
        three_equals_take_turns_exactly_over_a_thousand_slices,
    ],
    roles: [],
}

const LOW: u8 = 100;
const HIGH: u8 = 200;
const NEVER: u64 = u64::MAX;

/// The less urgent one, whose call makes the more urgent one ready.
static TINY: Tiny = Tiny::new();
/// What the more urgent one saw of it, plus one.
static SEEN: AtomicU64 = AtomicU64::new(0);

fn see(_: &Own) {
    SEEN.store(1 + TINY.returned(), SeqCst);
}

/// Lets the less urgent one make its call: the more urgent one runs before its next instruction.
#[track_caller]
fn runs_first(high: &Worker, syscall: Syscall, control: [u64; 3]) {
    SEEN.store(0, SeqCst);
    TINY.set(syscall, control);
    // It may raise others to what it was made with.
    let low = TINY.thread(HIGH).unwrap();
    low.set_priority(LOW).unwrap();
    low.start().unwrap();
    assert_eq!(high.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(SEEN.load(SeqCst), 1, "the less urgent one had gone on");
    assert_eq!(low.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!((TINY.returned(), TINY.code()), (1, Some(0)));
}

/// A more urgent one that waits by now.
fn waiting(body: fn(&Own), argument: u64) -> Worker {
    let high = Worker::start(HIGH, body, argument);
    settle();
    assert_eq!(high.inspect().unwrap().state, 4);
    high
}

fn receives(own: &Own) {
    assert!(endpoint(own.slot()).receive().is_ok());
    see(own);
}

/// Through a send.
fn who_is_sent_a_message_runs_before_the_next_instruction() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot().bits();
    runs_first(&waiting(receives, slot), Syscall::Send, [slot, 7, NEVER]);
}

/// Through a receive.
fn whose_message_is_taken_runs_before_the_next_instruction() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot().bits();
    let sends = |own: &Own| {
        assert_eq!(guests::threads::endpoint(own.slot()).send(&label(1)), Ok(()));
        see(own);
    };
    runs_first(&waiting(sends, slot), Syscall::Receive, [slot, 0, NEVER]);
}

/// Through a call.
fn who_is_called_runs_before_the_next_instruction() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot().bits();
    let serves = |own: &Own| {
        receives(own);
        reply(&label(1)).unwrap();
    };
    runs_first(&waiting(serves, slot), Syscall::Call, [slot, 7, NEVER]);
}

/// Through a reply.
fn who_is_answered_runs_before_the_next_instruction() {
    static AFTER: AtomicU64 = AtomicU64::new(0);
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot().bits();
    let calls = |own: &Own| {
        assert!(guests::threads::endpoint(own.slot()).call(&label(1)).is_ok());
        SEEN.store(1 + AFTER.load(SeqCst), SeqCst);
    };
    let answers = |own: &Own| {
        guests::threads::endpoint(own.slot()).receive().unwrap();
        reply(&label(2)).unwrap();
        AFTER.store(1, SeqCst);
    };
    let high = waiting(calls, slot);
    let low = Worker::start(LOW, answers, slot);
    assert_eq!((high.wait(), low.wait()), (Ok(ExitReason::Exited(0)), Ok(ExitReason::Exited(0))));
    assert_eq!((SEEN.load(SeqCst), AFTER.load(SeqCst)), (1, 1));
}

/// Through its start.
fn who_is_started_runs_before_the_next_instruction() {
    let high = Worker::new(HIGH, see, 0);
    runs_first(&high, Syscall::ThreadStart, [high.slot().bits(), 0, 0]);
}

/// Through a resume.
fn who_is_resumed_runs_before_the_next_instruction() {
    let high = Worker::start(HIGH, see, 0);
    high.suspend().unwrap();
    settle();
    runs_first(&high, Syscall::ThreadResume, [high.slot().bits(), 0, 0]);
}

/// By getting a higher priority.
fn who_is_raised_runs_before_the_next_instruction() {
    let high = Worker::new(HIGH, see, 0);
    high.set_priority(LOW - 1).unwrap();
    high.start().unwrap();
    runs_first(&high, Syscall::ThreadSetPriority, [high.slot().bits(), (LOW + 1).into(), 0]);
}

/// Through the end of a thread that it waited for.
fn who_waited_for_a_thread_s_end_runs_before_the_next_instruction() {
    let victim = Worker::new(LOW, |_| (), 0);
    let waits = |own: &Own| {
        let victim = ManuallyDrop::new(Thread::from_slot(own.slot()));
        assert_eq!(victim.wait(), Ok(ExitReason::Killed));
        see(own);
    };
    let high = waiting(waits, victim.slot().bits());
    runs_first(&high, Syscall::ThreadKill, [victim.slot().bits(), 0, 0]);
}

/// Through the end of what it waits at.
fn whose_endpoint_goes_runs_before_the_next_instruction() {
    let endpoint = ManuallyDrop::new(Endpoint::create().unwrap());
    let waits = |own: &Own| {
        let received = guests::threads::endpoint(own.slot()).receive();
        assert_eq!(received.err(), Some(IpcError::EndpointGone));
        see(own);
    };
    let high = waiting(waits, endpoint.slot().bits());
    runs_first(&high, Syscall::CapabilityClose, [endpoint.slot().bits(), 0, 0]);
}

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Through the timer, while a less urgent one counts: that stands still for as long as it runs.
fn whose_time_comes_runs_at_once() {
    let counts = |_: &Own| loop {
        COUNT.fetch_add(1, SeqCst);
    };
    let sleeps = |own: &Own| {
        for _ in 0..20 {
            let before = COUNT.load(SeqCst);
            clock::sleep(500_000);
            let after = COUNT.load(SeqCst);
            assert_ne!(after, before, "nobody else ran");
            spin(own.argument);
            assert_eq!(COUNT.load(SeqCst), after, "another ran meanwhile");
        }
    };
    let _counting = Worker::start(LOW, counts, 0);
    let high = Worker::start(LOW + 1, sleeps, 200_000);
    assert_eq!(high.wait(), Ok(ExitReason::Exited(0)));
}

/// A multiple of three.
const SLICES: usize = 1002;
const SLICE: u64 = 1_000_000;
static LAST: AtomicU64 = AtomicU64::new(u64::MAX);
static NOTED: AtomicUsize = AtomicUsize::new(0);
/// Whose each slice was, and when it began.
static ORDER: [AtomicU64; SLICES] = [const { AtomicU64::new(0) }; SLICES];
static BEGINNINGS: [AtomicU64; SLICES] = [const { AtomicU64::new(0) }; SLICES];

fn notes_its_slices(own: &Own) {
    loop {
        if LAST.load(SeqCst) != own.argument {
            LAST.store(own.argument, SeqCst);
            let slice = NOTED.fetch_add(1, SeqCst);
            if slice >= SLICES {
                return;
            }
            ORDER[slice].store(own.argument, SeqCst);
            BEGINNINGS[slice].store(clock::now(), SeqCst);
        }
    }
}

/// Three equal threads that spin have slices of a millisecond of virtual time, one after the other and
/// always in the same order, by one timer interrupt each.
fn three_equals_take_turns_exactly_over_a_thousand_slices() {
    let interrupts = || statistic(Statistic::TimerInterrupts).unwrap();
    let before = interrupts();
    // The first touch of a page takes its time.
    ORDER.iter().chain(&BEGINNINGS).for_each(|note| note.store(0, SeqCst));
    let threads = [0, 1, 2].map(|me| Worker::start(LOW, notes_its_slices, me));
    for thread in &threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
    let came = interrupts() - before;
    for (slice, whose) in ORDER.iter().enumerate() {
        assert_eq!(whose.load(SeqCst), slice as u64 % 3, "slice {slice}");
    }
    let lengths = BEGINNINGS.windows(2).map(|pair| pair[1].load(SeqCst) - pair[0].load(SeqCst));
    let (shortest, longest) = lengths.fold((NEVER, 0), |(a, b), x| (x.min(a), x.max(b)));
    println!("{SLICES} slices of {shortest} to {longest} ns, {came} timer interrupts");
    // Beside the slice itself: the way into the kernel and out, some thousand instructions.
    assert!(shortest >= SLICE && longest <= SLICE + SLICE / 100, "{shortest} to {longest} ns");
    assert_eq!(came, SLICES as u64);
}
