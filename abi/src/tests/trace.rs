//! Events of a trace as words and in registers.

use std::collections::BTreeSet;

use crate::{
    Registers,
    trace::{EVENT_WORDS, Event, EventKind, Traced},
};

#[test]
fn kinds_keep_their_numbers_and_no_other_number_is_one() {
    let numbers: BTreeSet<_> = EventKind::ALL.iter().map(|kind| *kind as u64).collect();
    assert!(numbers.iter().copied().eq((1..=9).chain(32..=46)));
    for number in (0..0x1_0000).chain([1 << 32 | 1, u64::MAX]) {
        let found = EventKind::from_number(number);
        assert_eq!(found.map(|kind| kind as u64), numbers.get(&number).copied(), "{number:#x}");
    }
}

#[test]
fn an_event_comes_back_as_it_went() {
    for kind in EventKind::ALL {
        let arguments = [u64::MAX, 0, 7];
        let event = Event { time: 1 << 63, cpu: 255, kind, thread: 3, process: 4, arguments };
        assert_eq!(Event::decode(&event.encode()), Some(event));
        let traced = Traced { event, next: u64::MAX, lost: 5 };
        assert_eq!(Traced::decode(&traced.encode()), Some(traced));
    }
}

#[test]
fn words_that_are_no_event_are_refused() {
    let event = |what| Event::decode(&[0, what, 0, 0, 0, 0, 0]);
    assert!(event(EventKind::Idle as u64).is_some());
    // No kind; a CPU that there can't be.
    for what in [0, 10, 31, 47, 255, 1 << 16 | 1, u64::MAX] {
        assert_eq!(event(what), None, "{what:#x}");
    }
    assert_eq!(Traced::decode(&Registers::default()), None);
    assert!(EVENT_WORDS < Registers::default().words.len());
}
