//! Ten thousand threads that wait at the same time.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{boxed::Box, vec::Vec};

use guests::{
    bare::{Bare, Program},
    code,
    counters::Counters,
    places, suite,
    threads::{MIDDLE, label, settle},
    tiny::Tiny,
    workers::Worker,
};
use orbital_user::{
    Endpoint, ExitReason, Thread, abi::Syscall, clock, endpoint::reply, println, thread::yield_now,
};

suite! {
    on "memory=256M icount pinned timeout=120": [ten_thousand_threads_wait_and_wake],
    on "cpus=2,4 memory=256M timeout=120": [ten_thousand_threads_wait_and_wake_on_all_cpus],
    roles: [],
}

code! {
    // ProcessExit with the argument.
    exits: ["mov eax, 33", "syscall"] ["ud2"];
}

const THREADS: usize = 10_000;
/// What the kernel may keep for one that waits, its capability included, in bytes.
const LIMIT: u64 = 1024;
const NEVER: u64 = u64::MAX;
/// The number of the state of a thread that waits.
const BLOCKED: u64 = 4;
const PAGE: u64 = 4096;

/// What they wait for.
struct Awaited {
    receivers: Endpoint,
    senders: Endpoint,
    callers: Endpoint,
    thread: Worker,
    child: Bare,
    /// Not before this time.
    time: u64,
}

/// How a thread waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Receive,
    Send,
    Call,
    Thread,
    Process,
    Sleep,
}

const WAITS: [Wait; 6] =
    [Wait::Receive, Wait::Send, Wait::Call, Wait::Thread, Wait::Process, Wait::Sleep];

/// The way of number `index`: all ways in turns.
fn wait_of(index: usize) -> Wait {
    WAITS[index % WAITS.len()]
}

/// How many wait this way.
fn count(wait: Wait) -> usize {
    (0..THREADS).filter(|index| wait_of(*index) == wait).count()
}

impl Awaited {
    fn call(&self, wait: Wait) -> (Syscall, [u64; 3]) {
        let tag = 7;
        match wait {
            Wait::Receive => (Syscall::Receive, [self.receivers.slot().bits(), 0, NEVER]),
            Wait::Send => (Syscall::Send, [self.senders.slot().bits(), tag, NEVER]),
            Wait::Call => (Syscall::Call, [self.callers.slot().bits(), tag, NEVER]),
            Wait::Thread => (Syscall::ThreadWait, [self.thread.slot().bits(), NEVER, 0]),
            Wait::Process => (Syscall::ProcessWait, [self.child.process.slot().bits(), NEVER, 0]),
            Wait::Sleep => (Syscall::ThreadSleep, [self.time, 0, 0]),
        }
    }

    /// Lets all of them go on that wait this way; they have not had their turn.
    fn come(&self, wait: Wait) {
        for _ in 0..count(wait) {
            match wait {
                Wait::Receive => self.receivers.try_send(&label(1)).expect("a receiver"),
                Wait::Send => drop(self.senders.try_receive().expect("a sender")),
                Wait::Call => {
                    assert!(self.callers.try_receive().expect("a caller").is_call);
                    reply(&label(1)).expect("a caller that waits");
                }
                _ => {}
            }
        }
        match wait {
            Wait::Thread => drop(self.thread.start().map(|()| self.thread.wait())),
            Wait::Process => assert_eq!(self.child.run(), ExitReason::Exited(0)),
            Wait::Sleep => clock::sleep_until(self.time),
            _ => {}
        }
    }
}

fn wait_for_all(sleepers_wake_after: impl Fn(u64) -> u64) {
    places::pave(16 << 20);
    let program = Program::new(exits);
    let child = program.prepare(0);
    let mut awaited = Awaited {
        receivers: Endpoint::create().unwrap(),
        senders: Endpoint::create().unwrap(),
        callers: Endpoint::create().unwrap(),
        thread: Worker::new(MIDDLE, |_| (), 0),
        child,
        time: 0,
    };
    let tinies: &'static [Tiny] = Box::leak((0..THREADS).map(|_| Tiny::default()).collect());
    let mut threads: Vec<Thread> = Vec::with_capacity(THREADS);
    // The case, the one that is awaited, and the child's.
    let before = counters_with(3);
    let start = clock::now();
    for (index, tiny) in tinies.iter().enumerate() {
        let (syscall, control) = awaited.call(wait_of(index));
        tiny.set(syscall, control);
        let thread = tiny.thread(MIDDLE).unwrap_or_else(|e| panic!("thread {index}: {e}"));
        threads.push(thread);
    }
    let created = clock::now();
    for (index, thread) in threads.iter().enumerate() {
        if wait_of(index) != Wait::Sleep {
            thread.start().unwrap();
        }
    }
    wait_until_blocked(&threads, |wait| wait != Wait::Sleep);
    let started = clock::now();
    awaited.time = started + sleepers_wake_after(started - created);
    for (index, thread) in threads.iter().enumerate() {
        if wait_of(index) == Wait::Sleep {
            let (syscall, control) = awaited.call(Wait::Sleep);
            tinies[index].set(syscall, control);
            thread.start().unwrap();
        }
    }
    wait_until_blocked(&threads, |wait| wait == Wait::Sleep);
    let blocked = counters_with(3 + THREADS as u64);
    assert!(clock::now() < awaited.time, "the sleepers woke before all waited");
    assert!(tinies.iter().all(|tiny| tiny.returned() == 0), "one did not wait");
    measure(&before, &blocked);
    for (done, wait) in WAITS.into_iter().enumerate() {
        awaited.come(wait);
        wait_until_woken(tinies, &WAITS[..=done]);
    }
    for (thread, tiny) in threads.iter().zip(tinies) {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
        assert_eq!((tiny.returned(), tiny.code()), (1, Some(0)));
    }
    let woken = clock::now();
    drop(threads);
    let times = [created - start, started - created, woken - started, clock::now() - woken];
    println!("microseconds to make, block, wake, close: {:?}", times.map(|time| time / 1000));
}

/// Waits until those that wait in these ways do.
fn wait_until_blocked(threads: &[Thread], is_meant: impl Fn(Wait) -> bool) {
    for (index, thread) in threads.iter().enumerate() {
        while is_meant(wait_of(index)) && thread.inspect().unwrap().state != BLOCKED {
            settle();
        }
    }
}

/// Those that wait in these ways come back, and nobody else.
fn wait_until_woken(tinies: &[Tiny], ways: &[Wait]) {
    for (index, tiny) in tinies.iter().enumerate() {
        let wait = wait_of(index);
        while ways.contains(&wait) && tiny.returned() == 0 {
            settle();
        }
        // Sleepers may be as far at any time.
        let may_be_woken = ways.contains(&wait) || wait == Wait::Sleep;
        assert!(tiny.returned() == 0 || may_be_woken, "{wait:?} came back");
    }
}

/// The counters once so many threads exist: what has ended on another CPU may go a moment later.
fn counters_with(threads: u64) -> Counters {
    loop {
        let counters = Counters::now();
        if counters.objects[1] == threads {
            return counters;
        }
        yield_now();
    }
}

/// What they cost, by the kernel's own counters.
fn measure(before: &Counters, blocked: &Counters) {
    let threads = THREADS as u64;
    let heap = (blocked.heap_bytes - before.heap_bytes) / threads;
    let frames = (before.free_frames - blocked.free_frames) * PAGE / threads;
    println!("bytes for each blocked thread: {heap} of the heap in use, {frames} in frames");
    assert!(heap <= LIMIT && frames <= LIMIT, "more than {LIMIT}");
}

/// On one CPU, in virtual time: each thread waits, in one of six ways, and wakes once.
fn ten_thousand_threads_wait_and_wake() {
    wait_for_all(|passed| 10 * passed);
}

/// The same when they run on all CPUs.
fn ten_thousand_threads_wait_and_wake_on_all_cpus() {
    wait_for_all(|passed| 10 * passed);
}
