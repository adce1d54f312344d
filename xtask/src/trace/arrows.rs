//! Arrows of a trace: from each message to where it was received, and from each answer to where it has come to.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use orbital_abi::trace::{Event, EventKind};

/// An arrow, with both of its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// Its number, which no other has.
    pub number: u64,
    /// To which flow it belongs.
    pub flow: u64,
    /// Where it begins.
    pub start: Event,
    /// Where it ends: not before that.
    pub end: Event,
}

/// All arrows of which both ends are among the events.
pub fn arrows(events: &[Event]) -> Vec<Arrow> {
    let (mut starts, mut ends) = (BTreeMap::new(), BTreeMap::new());
    for event in events {
        let [_, number, _] = event.arguments;
        match event.kind {
            EventKind::Send | EventKind::Reply => starts.entry(number).or_insert(*event),
            EventKind::Receive | EventKind::Answer => ends.entry(number).or_insert(*event),
            _ => continue,
        };
    }
    let whole = starts.into_iter().filter_map(|(number, start)| {
        let mut end = *ends.get(&number)?;
        let fits = match start.kind {
            EventKind::Send => end.kind == EventKind::Receive,
            _ => end.kind == EventKind::Answer,
        };
        // Clocks of two CPUs may differ by a little.
        end.time = end.time.max(start.time);
        fits.then_some(Arrow { number, flow: start.arguments[0], start, end })
    });
    whole.collect()
}
