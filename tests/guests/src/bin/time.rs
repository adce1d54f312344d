//! Clock, sleeping and deadlines.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{sync::Arc, vec::Vec};

use guests::{children, counters, suite};
use orbital_user::{
    Endpoint, Error, IpcError, Message, clock,
    endpoint::reply,
    process::Process,
    thread::{spawn, spawn_with_priority},
};

suite! {
    cases: [
        the_clock_goes_forward,
        a_sleep_does_not_end_early,
        sleepers_wake_in_the_order_of_their_deadlines,
        a_sleep_for_ever_is_ended_by_the_end,
        nobody_comes_until_the_deadline,
        a_partner_in_time_is_served,
        a_call_tells_whether_it_was_taken,
        a_late_reply_is_told_to_the_server,
        waits_for_ends_have_deadlines,
        a_past_deadline_ends_at_once,
        deadlines_leave_nothing,
    ],
    parallel: [sleepers_on_all_cpus_wake],
    roles: [sleeps_for_ever],
}

const MILLISECOND: u64 = 1_000_000;
const NEVER: u64 = u64::MAX;
/// The number of a blocked thread's state.
const BLOCKED: u64 = 4;

fn soon() -> u64 {
    clock::now() + MILLISECOND
}

/// Time never goes back, and goes on.
fn the_clock_goes_forward() {
    let start = clock::now();
    let mut last = start;
    while last < start + MILLISECOND {
        let now = clock::now();
        assert!(now >= last, "{now} after {last}");
        last = now;
    }
}

/// After a sleep it is the deadline or later; a deadline that has passed is no sleep.
fn a_sleep_does_not_end_early() {
    for _ in 0..20 {
        let deadline = clock::now() + MILLISECOND / 2;
        clock::sleep_until(deadline);
        assert!(clock::now() >= deadline);
    }
    clock::sleep_until(0);
    clock::sleep_until(1);
}

/// Threads that sleep until different times wake in that order, whatever the order of their start.
fn sleepers_wake_in_the_order_of_their_deadlines() {
    // On a busy host a slice can be over before a thread has looked at the clock, or all deadlines
    // before the last thread sleeps: then the order is another one, and they sleep again.
    let mut lead = 10 * MILLISECOND;
    for _ in 0..8 {
        if wake_times(lead).is_sorted() {
            return;
        }
        lead = lead * 3 / 2;
    }
    panic!("never in their order");
}

/// When five threads woke, by their deadlines.
fn wake_times(lead: u64) -> [u64; 5] {
    let start = clock::now() + lead;
    let sleepers = [3, 0, 4, 1, 2].map(|place| {
        let sleeper = spawn_with_priority(200, move || {
            clock::sleep_until(start + place * lead / 10);
            clock::now()
        });
        (place as usize, sleeper.unwrap())
    });
    let mut times = [0; 5];
    for (place, sleeper) in sleepers {
        times[place] = sleeper.join().unwrap();
    }
    times
}

fn sleeps_for_ever() {
    clock::sleep_until(NEVER);
}

/// A thread without a deadline sleeps until it is killed.
fn a_sleep_for_ever_is_ended_by_the_end() {
    let child = children::start("sleeps_for_ever", |spawn| spawn);
    clock::sleep(2 * MILLISECOND);
    assert_eq!(child.process.try_wait(), Err(Error::WouldBlock));
    child.process.kill().unwrap();
    assert_eq!(child.wait(), Ok(orbital_user::ExitReason::Killed));
}

/// Each operation that finds nobody ends at its deadline, and not before.
fn nobody_comes_until_the_deadline() {
    let endpoint = Endpoint::create().unwrap();
    let message = Message::new(1, &[2]).unwrap();
    let deadline = soon();
    assert_eq!(endpoint.receive_until(deadline).err(), Some(IpcError::TimedOut));
    assert!(clock::now() >= deadline);
    let deadline = soon();
    assert_eq!(endpoint.send_until(deadline, &message), Err(IpcError::TimedOut));
    assert!(clock::now() >= deadline);
    let deadline = soon();
    assert_eq!(endpoint.call_until(deadline, &message), Err(IpcError::TimedOut));
    assert!(clock::now() >= deadline);
    // Nothing stayed behind in the queues.
    assert_eq!(endpoint.try_receive().err(), Some(IpcError::WouldBlock));
    assert_eq!(endpoint.try_send(&message), Err(IpcError::WouldBlock));
}

/// A partner that comes before the deadline ends the wait, and the timer does no harm afterwards.
fn a_partner_in_time_is_served() {
    let endpoint = Arc::new(Endpoint::create().unwrap());
    let far = clock::now() + 3_600_000 * MILLISECOND;
    for word in 0..50 {
        let message = Message::new(1, &[word]).unwrap();
        let sender = spawn({
            let endpoint = Arc::clone(&endpoint);
            move || endpoint.send_until(far, &message)
        })
        .unwrap();
        assert_eq!(endpoint.receive_until(far).unwrap().message, message);
        assert_eq!(sender.join(), Ok(Ok(())));
    }
}

/// A call that nobody took is told apart from one that was taken and not answered.
fn a_call_tells_whether_it_was_taken() {
    let endpoint = Arc::new(Endpoint::create().unwrap());
    let message = Message::new(1, &[]).unwrap();
    assert_eq!(endpoint.call_until(soon(), &message), Err(IpcError::TimedOut));
    let caller = spawn({
        let endpoint = Arc::clone(&endpoint);
        move || endpoint.call_until(soon(), &message)
    })
    .unwrap();
    assert!(endpoint.receive().unwrap().is_call);
    assert_eq!(caller.join(), Ok(Err(IpcError::Unanswered)));
}

/// The server of a call that nobody waits for any more learns so from its reply.
fn a_late_reply_is_told_to_the_server() {
    let endpoint = Arc::new(Endpoint::create().unwrap());
    let message = Message::new(1, &[]).unwrap();
    let caller = spawn({
        let endpoint = Arc::clone(&endpoint);
        move || endpoint.call_until(soon(), &message)
    })
    .unwrap();
    assert!(endpoint.receive().unwrap().is_call);
    assert_eq!(caller.join(), Ok(Err(IpcError::Unanswered)));
    assert_eq!(reply(&message), Err(IpcError::PeerGone));
    assert_eq!(reply(&message), Err(IpcError::NoReplyOwed));
}

/// Waits for the ends of threads and processes end at their deadlines, and can be begun again.
fn waits_for_ends_have_deadlines() {
    let endpoint = Arc::new(Endpoint::create().unwrap());
    let waiting = spawn({
        let endpoint = Arc::clone(&endpoint);
        move || endpoint.receive().is_ok()
    })
    .unwrap();
    let deadline = soon();
    assert_eq!(waiting.thread().wait_until(deadline), Err(Error::TimedOut));
    assert!(clock::now() >= deadline);
    endpoint.send(&Message::default()).unwrap();
    assert_eq!(waiting.join(), Ok(true));

    let process = Process::create("empty", 8, 16384).unwrap();
    assert_eq!(process.wait_until(soon()), Err(Error::TimedOut));
    process.kill().unwrap();
    assert_eq!(process.wait_until(NEVER), Ok(orbital_user::ExitReason::Killed));
}

/// A deadline in the past answers like one that comes at once, but takes a partner that is there.
fn a_past_deadline_ends_at_once() {
    let endpoint = Arc::new(Endpoint::create().unwrap());
    assert_eq!(endpoint.receive_until(1).err(), Some(IpcError::TimedOut));
    let sender = spawn_with_priority(200, {
        let endpoint = Arc::clone(&endpoint);
        move || endpoint.send(&Message::default())
    })
    .unwrap();
    while sender.thread().inspect().unwrap().state != BLOCKED {
        clock::sleep(MILLISECOND);
    }
    assert!(endpoint.receive_until(1).is_ok());
    assert_eq!(sender.join(), Ok(Ok(())));
}

/// Waits that end at their deadlines leave neither memory nor objects behind.
fn deadlines_leave_nothing() {
    let endpoint = Endpoint::create().unwrap();
    let message = Message::default();
    counters::leaves_nothing(50, || {
        let soon = clock::now() + MILLISECOND / 20;
        assert_eq!(endpoint.receive_until(soon).err(), Some(IpcError::TimedOut));
        assert_eq!(endpoint.call_until(soon, &message), Err(IpcError::TimedOut));
        clock::sleep_until(soon);
    });
}

/// Many threads on all CPUs sleep and wake again and again, none too early, none never.
fn sleepers_on_all_cpus_wake() {
    let sleepers: Vec<_> = (0..16)
        .map(|number| {
            spawn(move || {
                for round in 0..20 {
                    let deadline = clock::now() + (number * 7 + round) % 13 * MILLISECOND / 8;
                    clock::sleep_until(deadline);
                    assert!(clock::now() >= deadline);
                }
            })
            .unwrap()
        })
        .collect();
    sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
}
