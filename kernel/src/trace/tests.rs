//! The ring alone, what goes into it on the simulated machine, and what comes out at its end.
#![forbid(unsafe_code)]

use std::{sync::Arc, thread};

use orbital_abi::trace::{DUMP_MAGIC, EVENT_WORDS, Event, EventKind};

use super::{Who, dump, flows, init, init_cpu, note, ring::Ring};
use crate::{
    arch::host::{debug_console, machine},
    boot::CommandLine,
};

/// Words that all say `number`.
fn words(number: u64) -> [u64; EVENT_WORDS] {
    [number; EVENT_WORDS]
}

/// The level that the command line asks for, until it goes.
pub struct Level(());

impl Level {
    /// Sets it. The CPU's ring, which stays, is a large one.
    pub fn set(words: &str) -> Self {
        init(&CommandLine::new("trace=ipc"));
        init_cpu();
        init(&CommandLine::new(words));
        Self(())
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        init(&CommandLine::new("trace=off"));
    }
}

#[test]
fn what_was_written_is_read_in_order() {
    let ring = Ring::new(4).unwrap();
    assert_eq!((ring.count(), ring.read(0)), (0, None));
    for number in 0..4 {
        ring.push(&words(number));
        assert_eq!(ring.read(number), Some((number, words(number))));
        assert_eq!(ring.read(number + 1), None, "there is no next one yet");
    }
    assert!((0..4).all(|number| ring.read(number) == Some((number, words(number)))));
}

#[test]
fn the_oldest_is_overwritten_and_the_reader_goes_on_behind_it() {
    let ring = Ring::new(4).unwrap();
    (0..10).for_each(|number| ring.push(&words(number)));
    assert_eq!(ring.count(), 10);
    for asked in 0..=6 {
        assert_eq!(ring.read(asked), Some((6, words(6))), "{asked}");
    }
    assert_eq!(ring.read(9), Some((9, words(9))));
    for asked in [10, 11, u64::MAX] {
        assert_eq!(ring.read(asked), None, "{asked}");
    }
}

#[test]
fn a_reader_beside_the_writer_sees_whole_events_alone() {
    const EVENTS: u64 = 100_000;
    let ring = Arc::new(Ring::new(8).unwrap());
    let reader = thread::spawn({
        let ring = ring.clone();
        move || {
            let (mut next, mut seen) = (0, 0);
            while next < EVENTS {
                let Some((number, found)) = ring.read(next) else { continue };
                assert!(number >= next);
                assert_eq!(found, words(number), "half of another event");
                (next, seen) = (number + 1, seen + 1);
            }
            seen
        }
    });
    (0..EVENTS).for_each(|number| ring.push(&words(number)));
    let seen = reader.join().expect("it does not panic");
    // It may come late, but the last ones stay.
    assert!((1..=EVENTS).contains(&seen), "{seen}");
}

/// The events of a dump.
fn dumped() -> Vec<Event> {
    let bytes = debug_console::take();
    let events = bytes.strip_prefix(&DUMP_MAGIC).expect("the mark of its beginning");
    let (events, rest) = events.as_chunks::<{ 8 * EVENT_WORDS }>();
    assert!(rest.is_empty());
    let word = |event: &[u8], place: usize| {
        u64::from_le_bytes(*event[8 * place..].first_chunk().expect("8 bytes"))
    };
    let decode = |event: &[u8; 8 * EVENT_WORDS]| {
        Event::decode(&core::array::from_fn(|place| word(event, place))).expect("an event")
    };
    events.iter().map(decode).collect()
}

#[test]
fn a_dump_has_names_and_what_the_rings_have_and_comes_once() {
    let _machine = machine();
    let _level = Level::set("trace=events trace_dump=1");
    let who = Who { thread: 71, process: 17 };
    note(EventKind::Revoke, who, [1, 2, 3]);
    debug_console::take();
    let dump = dump::Dump::begin().expect("it is wanted");
    dump.name(17, "a-name-of-16-byt");
    dump.rings();
    let events = dumped();
    let name = u128::from_le_bytes(*b"a-name-of-16-byt");
    assert_eq!(events[0].kind, EventKind::ProcessName);
    assert_eq!((events[0].process, events[0].thread), (17, 0));
    assert_eq!(events[0].arguments, [name as u64, (name >> 64) as u64, 0]);
    let last = events.last().expect("there is one");
    assert_eq!((last.kind, last.thread, last.process), (EventKind::Revoke, 71, 17));
    assert_eq!((last.cpu, last.arguments), (0, [1, 2, 3]));
    assert!(dump::Dump::begin().is_none(), "it was dumped");
}

#[test]
fn no_dump_comes_unasked() {
    let _machine = machine();
    for line in ["trace=events", "trace_dump=0", "trace_dump"] {
        let _level = Level::set(line);
        assert!(dump::Dump::begin().is_none(), "{line}");
    }
}

#[test]
fn a_dump_says_how_much_was_overwritten() {
    let _machine = machine();
    let _level = Level::set("trace=ipc trace_dump=1");
    let before = super::RINGS.here().get().expect("a ring").count();
    for number in 0..2 * super::MANY as u64 {
        note(EventKind::Revoke, Who::default(), [number, 0, 0]);
    }
    debug_console::take();
    dump::Dump::begin().expect("it is wanted").rings();
    let events = dumped();
    let place = events.iter().position(|event| event.kind == EventKind::Lost);
    let lost = events[place.expect("some were lost")];
    let kept = events.iter().filter(|event| event.kind == EventKind::Revoke && event.cpu == 0);
    let kept = kept.count() as u64;
    assert_eq!(lost.arguments[0], before + 2 * super::MANY as u64 - kept);
}

#[test]
fn each_level_keeps_its_own() {
    let _machine = machine();
    let count = || super::RINGS.here().get().map_or(0, Ring::count);
    for (line, notes, details) in [
        ("trace=off", 0, 0),
        ("trace=events", 1, 0),
        ("", 1, 0),
        ("trace=nonsense", 1, 0),
        ("trace=ipc", 1, 1),
    ] {
        let _level = Level::set(line);
        let before = count();
        note(EventKind::Revoke, Who::default(), [0; 3]);
        assert_eq!(count() - before, notes, "{line}");
        super::detail(EventKind::Idle, 0);
        assert_eq!(count() - before, notes + details, "{line}");
    }
}

#[test]
fn a_call_belongs_to_what_its_caller_serves() {
    let _machine = machine();
    let _level = Level::set("trace=ipc");
    // Numbers that no thread of another test has; the last one has the place of the first.
    let (client, server, next, other) = (1 << 40, (1 << 40) + 1, (1 << 40) + 2, 1 << 41);
    let call = flows::send(client);
    assert_eq!(flows::receive(server, client, true), Some(call));
    let nested = flows::send(server);
    assert_eq!(nested.flow, call.flow);
    assert_ne!(nested.number, call.number);
    assert_eq!(flows::receive(next, server, true), Some(nested));
    for (server, caller) in [(next, server), (server, client)] {
        let answer = flows::answer(server, caller).expect("both are known");
        assert_eq!(answer.flow, call.flow);
        assert!(![call.number, nested.number].contains(&answer.number));
    }
    assert_ne!(flows::send(server).flow, call.flow, "it has answered");
    // A message that is not to be answered begins nothing.
    let message = flows::send(client);
    assert_ne!(message.flow, call.flow);
    assert_eq!(flows::receive(server, client, false), Some(message));
    assert_ne!(flows::send(server).flow, message.flow);
    flows::send(other);
    assert_eq!(flows::receive(server, client, true), None, "it has lost its place");
}
