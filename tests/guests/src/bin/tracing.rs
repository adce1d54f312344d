//! The trace, as a program reads it: what is always there, and what there is with `trace=ipc`.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    children, cpus, mapped,
    raw::{self, refuse},
    suite,
    threads::{MIDDLE, at, endpoint, label},
};
use orbital_user::{
    CapSlot, Endpoint, Error, Process, Rights,
    abi::{
        Registers, Syscall,
        trace::{CALLS, Event, EventKind, Traced},
    },
    capability::{copy_to, revoke},
    clock,
    endpoint::reply,
    start::bootstrap,
    system::trace,
};

suite! {
    cases: [wrong_questions_are_refused],
    parallel: [
        starts_and_ends_are_told,
        a_fault_that_nobody_handles_is_told,
        a_revoke_is_told,
        quick_calls_leave_nothing,
        what_is_overwritten_is_counted,
    ],
    on "cpus=1,2,4 traced": [
        a_call_through_a_server_is_one_flow,
        each_cpu_tells_what_it_does,
    ],
    roles: [faults],
}

/// How far the trace of each CPU was read.
struct Reader(Vec<u64>);

impl Reader {
    /// One that goes on from here.
    fn new() -> Self {
        let mut reader = Self(alloc::vec![0; cpus::count()]);
        reader.read();
        reader
    }

    /// What has come up to now, CPU by CPU. Reading leaves events itself: those are for the next time.
    fn read(&mut self) -> Vec<Event> {
        let now = clock::now();
        let mut events = Vec::new();
        for (cpu, next) in self.0.iter_mut().enumerate() {
            while let Ok(Traced { event, next: behind, lost }) = trace(cpu, *next) {
                assert_eq!((usize::from(event.cpu), behind), (cpu, *next + lost + 1));
                if event.time > now {
                    break;
                }
                *next = behind;
                events.push(event);
            }
        }
        events
    }
}

fn of(events: &[Event], kind: EventKind) -> impl Iterator<Item = &Event> {
    events.iter().filter(move |event| event.kind == kind)
}

fn ask(words: [u64; 3]) -> Registers {
    raw::control(words)
}

fn wrong_questions_are_refused() {
    let system = bootstrap().system.bits();
    let refused = |words, error| refuse(Syscall::SystemTrace, ask(words), error);
    for cpu in [cpus::MOST as u64, 64, 1 << 32, u64::MAX] {
        refused([system, cpu, 0], Error::InvalidArgument);
    }
    // What has not happened yet, and never will.
    for position in [1 << 32, u64::MAX] {
        refused([system, 0, position], Error::WouldBlock);
    }
    let log = copy_to(bootstrap().system, CapSlot::NULL, Rights::LOG, 0).unwrap();
    refused([log.bits(), 0, 0], Error::MissingRights);
    refused([0, 0, 0], Error::EmptySlot);
    let endpoint = Endpoint::create().unwrap();
    refused([endpoint.slot().bits(), 0, 0], Error::WrongKind);
}

fn starts_and_ends_are_told() {
    let mut reader = Reader::new();
    let from = clock::now();
    let process = Process::create("traced-process!", 100, 1 << 16).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    at(MIDDLE, || ()).join().unwrap();
    let events = reader.read();
    let name = u128::from_le_bytes(*b"traced-process!\0");
    let started = of(&events, EventKind::ProcessStart).collect::<Vec<_>>();
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].arguments, [name as u64, (name >> 64) as u64, 0]);
    assert!((from..=clock::now()).contains(&started[0].time));
    let mut ended = of(&events, EventKind::ProcessEnd);
    assert!(ended.any(|end| end.process == started[0].process && end.time > started[0].time));
    let thread = of(&events, EventKind::ThreadStart).last().unwrap().thread;
    let end = of(&events, EventKind::ThreadEnd).find(|end| end.thread == thread).unwrap();
    assert_eq!(end.arguments, [0; 3], "it has ended by itself, with 0");
}

const NOWHERE: u64 = 0x10_0000;

fn faults() {
    mapped::write(NOWHERE, 1);
}

fn a_fault_that_nobody_handles_is_told() {
    let mut reader = Reader::new();
    let child = children::start("faults", |spawn| spawn);
    let reason = child.wait().unwrap();
    let events = reader.read();
    let fault = of(&events, EventKind::Fault).next().unwrap();
    let [_, kind, address, instruction] = reason.encode();
    assert_eq!((fault.arguments, address), ([kind, address, instruction], NOWHERE));
    let end = of(&events, EventKind::ThreadEnd).find(|end| end.thread == fault.thread).unwrap();
    assert_eq!(end.arguments, [2, kind, address]);
}

fn a_revoke_is_told() {
    let endpoint = Endpoint::create().unwrap();
    let mut reader = Reader::new();
    revoke(endpoint.slot()).unwrap();
    let events = reader.read();
    let revokes = of(&events, EventKind::Revoke).collect::<Vec<_>>();
    assert_eq!(revokes.len(), 1);
    assert_eq!(revokes[0].arguments, [endpoint.slot().bits(), 0, 0]);
}

/// What happens all the time is not kept unless that is asked for.
fn quick_calls_leave_nothing() {
    let server = Endpoint::create().unwrap();
    let slot = server.slot();
    let serves = at(MIDDLE, move || {
        let server = endpoint(slot);
        let mut request = server.receive().unwrap();
        while request.message.tag.label() != 0 {
            request = server.reply_receive(&request.message).unwrap();
        }
        reply(&request.message).unwrap();
    });
    server.call(&label(1)).unwrap();
    let mut reader = Reader::new();
    for count in 1..100 {
        server.call(&label(count)).unwrap();
    }
    assert_eq!(reader.read(), []);
    server.call(&label(0)).unwrap();
    serves.join().unwrap();
}

/// A reader that comes late is told how much it has missed.
fn what_is_overwritten_is_counted() {
    let endpoint = Endpoint::create().unwrap();
    let count = |cpu| {
        let (mut next, mut lost) = (0, 0);
        while let Ok(traced) = trace(cpu, next) {
            (next, lost) = (traced.next, lost + traced.lost);
        }
        (next, lost)
    };
    let sum = || (0..cpus::count()).map(count).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let (before, _) = sum();
    let revokes = 600 * cpus::count() as u64;
    (0..revokes).for_each(|_| revoke(endpoint.slot()).unwrap());
    let (after, lost) = sum();
    assert!(after >= before + revokes);
    assert!(lost > 0 && lost < after);
}

/// A caller, a server that calls another one, and that: the arrows between them, and what they belong to.
fn a_call_through_a_server_is_one_flow() {
    let (front, back) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
    let (front_slot, back_slot) = (front.slot(), back.slot());
    let passes = at(MIDDLE, move || {
        let request = endpoint(front_slot).receive().unwrap();
        let answer = endpoint(back_slot).call(&request.message).unwrap();
        reply(&answer).unwrap();
    });
    let serves = at(MIDDLE, move || {
        let request = endpoint(back_slot).receive().unwrap();
        reply(&request.message).unwrap();
    });
    let mut reader = Reader::new();
    assert_eq!(front.call(&label(7)), Ok(label(7)));
    passes.join().unwrap();
    serves.join().unwrap();
    let mut events = reader.read();
    events.sort_by_key(|event| event.time);
    let [sends, receives, replies, answers] =
        [EventKind::Send, EventKind::Receive, EventKind::Reply, EventKind::Answer]
            .map(|kind| of(&events, kind).copied().collect::<Vec<_>>());
    assert!(sends.iter().all(|send| send.arguments[2] == CALLS));
    let [call, nested] = sends[..] else { panic!("{sends:?}") };
    let [flow, ..] = call.arguments;
    let all = [&sends, &receives, &replies, &answers];
    assert!(all.iter().all(|events| events.len() == 2));
    assert!(all.into_iter().flatten().all(|event| event.arguments[0] == flow));
    for (starts, ends) in [(&sends, &receives), (&replies, &answers)] {
        for (start, end) in starts.iter().zip(ends) {
            assert_eq!(start.arguments[1], end.arguments[1]);
            assert!(start.time <= end.time);
        }
    }
    assert_eq!(receives[0].thread, nested.thread, "the front end has called");
    assert_eq!(replies[0].thread, receives[1].thread, "the back end has answered");
    assert_eq!((answers[0].thread, answers[1].thread), (nested.thread, call.thread));
}

/// Each CPU's events are in order, and on each a thread was switched to, called and went on.
fn each_cpu_tells_what_it_does() {
    let mut reader = Reader::new();
    for cpu in 0..cpus::count() {
        let runs = |_: &guests::workers::Own| {
            raw::call(Syscall::Null, raw::NOISE);
            clock::sleep(1000);
        };
        guests::workers::Worker::on(cpus::bit(cpu), MIDDLE, runs, 0).wait().unwrap();
    }
    let events = reader.read();
    for cpu in 0..cpus::count() {
        let own = events.iter().filter(|event| usize::from(event.cpu) == cpu);
        let own = own.copied().collect::<Vec<_>>();
        assert!(own.is_sorted_by_key(|event| event.time), "CPU {cpu}");
        for kind in [EventKind::Switch, EventKind::Syscall, EventKind::Resume, EventKind::Wake] {
            assert!(of(&own, kind).count() > 0, "CPU {cpu} has no {kind:?}");
        }
        let null = |call: &&Event| call.arguments[0] == Syscall::Null as u64;
        let calls = of(&own, EventKind::Syscall);
        let call = calls.filter(null).last().expect("the call that a worker made");
        let behind = |event: &&Event| event.time >= call.time && event.thread == call.thread;
        assert!(of(&own, EventKind::Resume).any(|event| behind(&event)), "CPU {cpu}");
        let polls = of(&own, EventKind::Poll).filter(|poll| poll.thread == call.thread);
        assert_eq!(polls.last().expect("its sleep was polled").arguments[0], 1);
    }
}
