//! Programs that make objects without end: an error to them, from which they recover, and nothing to
//! anybody else. And what a program can do as often as it likes without the kernel taking memory for it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    children, counters, cpus, suite,
    threads::{self, MIDDLE, granted, label},
    tiny::Tiny,
};
use orbital_user::{
    Endpoint, Error, ExitReason, Notification, Process, Rights, Timer,
    abi::{layout::PAGE_SIZE, statistics::Statistic},
    clock,
    endpoint::reply,
    println,
    process::own_usage,
    start::bootstrap,
    system,
};

suite! {
    cases: [
        a_process_tells_what_it_may_have_and_has,
        messages_signals_waits_and_kills_take_no_memory,
    ],
    parallel: [
        endless_threads_harm_nobody,
        endless_endpoints_harm_nobody,
        endless_notifications_harm_nobody,
        endless_timers_harm_nobody,
        endless_capabilities_harm_nobody,
        endless_processes_harm_nobody,
        holes_in_slabs_harm_nobody,
    ],
    on "icount pinned": [making_an_endpoint_takes_few_instructions],
    roles: [threads, endpoints, notifications, timers, capabilities, processes, holes, steady],
}

const FRAMES: u64 = 512;
const KERNEL_BYTES: u64 = 128 * 1024;

/// Makes what `make` gives until the quota is used up.
fn until_full<T>(made: &mut Vec<T>, make: &mut impl FnMut() -> Result<T, Error>) {
    loop {
        match make() {
            Ok(one) => made.push(one),
            Err(error) => return assert_eq!(error, Error::QuotaExceeded),
        }
    }
}

/// Makes them without end: again and again, after some are gone, and after all are gone.
fn hoard<T>(mut make: impl FnMut() -> Result<T, Error>) {
    let mut made = Vec::with_capacity(8192);
    // The table of capabilities grows.
    until_full(&mut made, &mut make);
    made.clear();
    until_full(&mut made, &mut make);
    let most = made.len();
    assert!(most > 4, "{most}");
    for round in 0..10 {
        let mut number = round;
        made.retain(|_| {
            number += 1;
            number % 3 != 0
        });
        assert!(made.len() < most);
        until_full(&mut made, &mut make);
        assert_eq!(made.len(), most, "round {round}: there is room for as many as before");
    }
    let usage = own_usage().unwrap();
    // A child takes its share, and a slab each for itself, its quota and its reaper.
    assert!(usage.kernel_bytes_used + 4 * PAGE_SIZE > usage.kernel_bytes_limit, "{usage:?}");
}

fn threads() {
    static TINY: Tiny = Tiny::new();
    hoard(|| TINY.thread(1));
}

fn endpoints() {
    hoard(Endpoint::create);
}

fn notifications() {
    hoard(Notification::create);
}

fn timers() {
    let notification = Notification::create().unwrap();
    hoard(|| Timer::create(&notification, 1));
}

fn capabilities() {
    let endpoint = Endpoint::create().unwrap();
    hoard(|| endpoint.copy(Rights::SEND, 0));
}

/// Gone for good when it is dropped.
struct Bomb(Process);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn processes() {
    // All that a child needs is a root and the memory for a capability.
    hoard(|| Process::create("bomb", 1, PAGE_SIZE).map(Bomb));
}

/// Leaves one object in each slab.
fn holes() {
    let mut made = Vec::with_capacity(8192);
    until_full(&mut made, &mut Endpoint::create);
    let before = own_usage().unwrap();
    let mut number = 0;
    made.retain(|_| {
        number += 1;
        number % 16 == 0
    });
    let after = own_usage().unwrap();
    // It pays for its holes.
    assert!(after.kernel_bytes_used > before.kernel_bytes_used / 2, "{before:?} {after:?}");
    granted(0).send(&label(1)).unwrap();
    clock::sleep_until(u64::MAX);
}

/// Makes and closes objects of all kinds, in its own small quota, until it is killed.
fn steady() {
    static TINY: Tiny = Tiny::new();
    let told = granted(0);
    for round in 0.. {
        let endpoint = Endpoint::create().unwrap();
        let notification = Notification::create().unwrap();
        let timer = Timer::create(&notification, 1).unwrap();
        let thread = TINY.thread(1).unwrap();
        let child = Process::create("child", 2, PAGE_SIZE).unwrap();
        let copies: Vec<_> = (0..40).map(|_| endpoint.copy(Rights::SEND, 0).unwrap()).collect();
        drop((thread, timer, copies));
        child.kill().unwrap();
        assert_eq!(child.wait(), Ok(ExitReason::Killed));
        if round >= 20 {
            told.call(&label(2)).unwrap();
        }
    }
}

/// Lets `role` do its worst next to a process that goes on working; then both end, and all is back.
fn harm_nobody(role: &str) {
    cpus::leave_nothing(1, || {
        let (worst, work) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
        let steady = children::start("steady", |spawn| {
            spawn.quota(64, 64 * 1024).grant(work.slot(), Rights::SEND, 0)
        });
        let hog = children::start(role, |spawn| {
            spawn.quota(FRAMES, KERNEL_BYTES).grant(worst.slot(), Rights::SEND, 0)
        });
        if role == "holes" {
            // As long as the holes are there.
            assert_eq!(worst.receive().map(|received| received.message), Ok(label(1)));
            for _ in 0..3 {
                assert_eq!(work.receive().map(|received| received.message), Ok(label(2)));
                reply(&label(2)).unwrap();
            }
            hog.process.kill().unwrap();
            assert_eq!(hog.wait(), Ok(ExitReason::Killed));
        } else {
            children::succeed(&hog);
        }
        // It has had no error, and goes on.
        for _ in 0..3 {
            assert_eq!(work.receive().map(|received| received.message), Ok(label(2)));
            reply(&label(2)).unwrap();
        }
        steady.process.kill().unwrap();
        assert_eq!(steady.wait(), Ok(ExitReason::Killed));
    });
}

/// Threads until there is no room for one.
fn endless_threads_harm_nobody() {
    harm_nobody("threads");
}

/// Endpoints.
fn endless_endpoints_harm_nobody() {
    harm_nobody("endpoints");
}

/// Notifications.
fn endless_notifications_harm_nobody() {
    harm_nobody("notifications");
}

/// Timers.
fn endless_timers_harm_nobody() {
    harm_nobody("timers");
}

/// Copies of one capability.
fn endless_capabilities_harm_nobody() {
    harm_nobody("capabilities");
}

/// A fork bomb.
fn endless_processes_harm_nobody() {
    harm_nobody("processes");
}

/// Whoever breaks up slabs breaks up its own.
fn holes_in_slabs_harm_nobody() {
    harm_nobody("holes");
}

/// Limits and use: a process's own and a child's, and who may ask.
fn a_process_tells_what_it_may_have_and_has() {
    let child = Process::create("child", 10, 10 * PAGE_SIZE).unwrap();
    let usage = child.usage().unwrap();
    assert_eq!((usage.frames_limit, usage.frames_used), (10, 1), "a root");
    assert_eq!((usage.kernel_bytes_limit, usage.kernel_bytes_used), (10 * PAGE_SIZE, 0));
    let before = own_usage().unwrap();
    let other = Process::create("other", 20, 20 * PAGE_SIZE).unwrap();
    let after = own_usage().unwrap();
    assert_eq!(after.frames_used, before.frames_used + 20, "what a child may have is in use");
    assert!(after.kernel_bytes_used >= before.kernel_bytes_used + 20 * PAGE_SIZE);
    assert_eq!(after.frames_limit, before.frames_limit);
    drop(other);
    let own = Process::from_slot(bootstrap().process);
    assert_eq!(own.usage(), own_usage());
    core::mem::forget(own);

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(child.usage().map(|usage| usage.frames_used), Ok(0), "it has given all back");
}

/// Allocations of the kernel's since boot.
fn allocations() -> u64 {
    system::statistic(Statistic::HeapAllocations).unwrap()
}

/// Sends, calls, replies, signals, waits, deadlines, and kills of threads that wait: thousands of them,
/// and the kernel allocates nothing.
fn messages_signals_waits_and_kills_take_no_memory() {
    let endpoint = Endpoint::create().unwrap();
    let notification = Notification::create().unwrap();
    let slot = endpoint.slot();
    let signals = notification.slot();
    let server = threads::at(MIDDLE, move || {
        let endpoint = threads::endpoint(slot);
        loop {
            let received = endpoint.receive().unwrap();
            if received.is_call {
                reply(&label(2)).unwrap();
            } else if received.message == label(9) {
                return;
            }
        }
    });
    let waiter = threads::at(MIDDLE, move || {
        let notification = core::mem::ManuallyDrop::new(Notification::from_slot(signals));
        while notification.wait().unwrap() & 2 == 0 {}
    });
    // These wait, and are killed.
    let silent = Endpoint::create().unwrap();
    let silent_slot = silent.slot();
    let victims: Vec<_> = (0..40)
        .map(|number| {
            threads::at(MIDDLE, move || match number % 3 {
                0 => drop(threads::endpoint(silent_slot).call(&label(1))),
                1 => drop(threads::endpoint(silent_slot).send(&label(1))),
                _ => clock::sleep_until(u64::MAX),
            })
        })
        .collect();
    threads::settle();

    let before = allocations();
    for round in 0..2000 {
        endpoint.send(&label(1)).unwrap();
        assert_eq!(endpoint.call(&label(1)), Ok(label(2)));
        notification.signal(1).unwrap();
        assert!(silent.call_until(clock::now() + 1000, &label(1)).is_err(), "round {round}");
        clock::sleep(1000);
        if let Some(victim) = victims.get(round) {
            victim.thread().kill().unwrap();
        }
    }
    assert_eq!(allocations(), before);

    endpoint.send(&label(9)).unwrap();
    notification.signal(2).unwrap();
    server.join().unwrap();
    waiter.join().unwrap();
    assert!(allocations() == before, "nor does an end");
    let _ = Endpoint::create().unwrap();
    assert!(allocations() > before, "what is made is counted");
    counters::leaves_nothing(3, || drop(Endpoint::create().unwrap()));
}

/// Making and closing an endpoint takes as long whether there are few or many, but for the one node more on the way
/// to a slot of a larger table.
fn making_an_endpoint_takes_few_instructions() {
    let cost = || {
        let start = clock::now();
        for _ in 0..1000 {
            drop(Endpoint::create().unwrap());
        }
        (clock::now() - start) / 1000
    };
    // Its slab stays, and the scale of the clock is known.
    let _first = Endpoint::create().unwrap();
    cost();
    let few = cost();
    let many: Vec<_> = (0..3000).map(|_| Endpoint::create().unwrap()).collect();
    let among_many = cost();
    println!("{few} instructions for an endpoint, {among_many} among {}", many.len());
    assert!(among_many <= few + few / 5);
}
