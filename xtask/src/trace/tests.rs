//! Dumps made by hand, whole and otherwise, and what is shown of them.
#![forbid(unsafe_code)]

use orbital_abi::{
    Syscall,
    trace::{DUMP_MAGIC, Event, EventKind},
};
use serde_json::Value;

use super::{arrows::arrows, chart::chart, dump::read};

/// An event of thread 7 in process 3.
fn event(time: u64, cpu: u8, kind: EventKind, arguments: [u64; 3]) -> Event {
    Event { time, cpu, kind, thread: 7, process: 3, arguments }
}

/// The same of another thread.
fn of(thread: u64, event: Event) -> Event {
    Event { thread, process: 10 * thread, ..event }
}

fn dump(events: &[Event]) -> Vec<u8> {
    let words = events.iter().flat_map(Event::encode);
    DUMP_MAGIC.into_iter().chain(words.flat_map(u64::to_le_bytes)).collect()
}

/// What is shown, but for names of tracks.
fn shown(events: &[Event]) -> Vec<Value> {
    let chart = chart(events);
    let all = chart["traceEvents"].as_array().expect("a list").clone();
    all.into_iter().filter(|event| event["ph"] != "M").collect()
}

fn with<'a>(shown: &'a [Value], phase: &str) -> Vec<&'a Value> {
    shown.iter().filter(|event| event["ph"] == phase).collect()
}

#[test]
fn a_dump_is_read_as_far_as_it_goes() {
    let events = [event(1, 0, EventKind::Idle, [0; 3]), event(2, 1, EventKind::Kick, [0; 3])];
    let whole = dump(&events);
    assert_eq!(read(&whole), Some(events.to_vec()));
    for cut in 0..whole.len() {
        let expected = match cut {
            0..8 => None,
            8..64 => Some(&events[..0]),
            _ => Some(&events[..1]),
        };
        assert_eq!(read(&whole[..cut]).as_deref(), expected, "{cut}");
    }
    // Firmware may have said something before.
    let behind: Vec<u8> = b"Booting...OrbTra".iter().copied().chain(whole).collect();
    assert_eq!(read(&behind), Some(events.to_vec()));
}

#[test]
fn an_unknown_kind_is_left_out() {
    let known = event(2, 0, EventKind::Idle, [0; 3]);
    let mut bytes = dump(&[known, known]);
    bytes[16] = 0xee;
    assert_eq!(read(&bytes), Some(vec![known]));
}

#[test]
fn nothing_is_an_empty_trace() {
    let chart = chart(&[]);
    assert_eq!(chart["traceEvents"], Value::Array(Vec::new()));
    assert_eq!(read(&[]), None);
}

#[test]
fn a_call_is_as_long_as_the_thread_stays_in_the_kernel() {
    let call = Syscall::MemoryMap as u64;
    let shown = shown(&[
        event(1500, 0, EventKind::Syscall, [call, 0, 0]),
        event(4750, 1, EventKind::Resume, [0; 3]),
        event(6000, 1, EventKind::Syscall, [9999, 0, 0]),
        event(7000, 0, EventKind::Idle, [0; 3]),
    ]);
    let calls = with(&shown, "X");
    assert_eq!(calls.len(), 2);
    assert_eq!((&calls[0]["name"], &calls[0]["args"]["cpu"]), (&"MemoryMap".into(), &0.into()));
    assert_eq!((calls[0]["ts"].as_f64(), calls[0]["dur"].as_f64()), (Some(1.5), Some(3.25)));
    assert_eq!((&calls[0]["pid"], &calls[0]["tid"]), (&3.into(), &7.into()));
    // One that is not over goes on to the end.
    assert_eq!(calls[1]["name"], "system call 9999");
    assert_eq!(calls[1]["dur"].as_f64(), Some(1.0));
}

#[test]
fn a_cpu_shows_whom_it_runs_until_the_next_one_or_nobody() {
    let switch = |time, cpu, thread| of(thread, event(time, cpu, EventKind::Switch, [0; 3]));
    let shown = shown(&[
        switch(1000, 0, 1),
        switch(1000, 1, 2),
        switch(3000, 0, 3),
        event(4000, 0, EventKind::Idle, [0; 3]),
        event(9000, 1, EventKind::TimerInterrupt, [0; 3]),
    ]);
    let runs: Vec<_> = with(&shown, "X")
        .into_iter()
        .map(|run| (run["args"]["cpu"].as_u64(), run["name"].as_str(), run["dur"].as_f64()))
        .collect();
    let expected = [(0, "thread 1", 2.0), (1, "thread 2", 8.0), (0, "thread 3", 1.0)];
    assert_eq!(runs, expected.map(|(cpu, name, time)| (Some(cpu), Some(name), Some(time))));
}

#[test]
fn all_is_shown_in_the_order_of_time() {
    let shown = shown(&[
        event(5000, 0, EventKind::Wake, [0; 3]),
        event(6000, 0, EventKind::Wake, [0; 3]),
        event(1000, 1, EventKind::Syscall, [0; 3]),
        event(5500, 1, EventKind::Poll, [1, 0, 0]),
        event(7000, 1, EventKind::Resume, [0; 3]),
    ]);
    let times: Vec<_> = shown.iter().map(|event| event["ts"].as_f64().unwrap()).collect();
    assert_eq!(times, [1.0, 5.0, 5.5, 6.0]);
}

#[test]
fn an_arrow_has_both_ends_or_is_left_out() {
    let [sends, receives, replies, answers] =
        [EventKind::Send, EventKind::Receive, EventKind::Reply, EventKind::Answer];
    let whole = [
        of(1, event(10, 0, sends, [5, 20, 1])),
        of(2, event(11, 1, receives, [5, 20, 0])),
        of(2, event(12, 1, replies, [5, 21, 0])),
        of(1, event(12, 1, answers, [5, 21, 0])),
    ];
    let ends = |events: &[Event]| {
        let shown = shown(events);
        let end = |phase| {
            let ends = with(&shown, phase).into_iter();
            ends.map(|end| (end["id"].as_u64(), end["tid"].as_u64())).collect::<Vec<_>>()
        };
        (end("s"), end("f"))
    };
    let pairs = |pairs: &[(u64, u64)]| -> Vec<_> {
        pairs.iter().map(|(id, track)| (Some(*id), Some(*track))).collect()
    };
    assert_eq!(ends(&whole), (pairs(&[(20, 1), (21, 2)]), pairs(&[(20, 2), (21, 1)])));
    // The first was overwritten, the last is not there yet.
    assert_eq!(ends(&whole[1..]), (pairs(&[(21, 2)]), pairs(&[(21, 1)])));
    assert_eq!(ends(&whole[..3]), (pairs(&[(20, 1)]), pairs(&[(20, 2)])));
    assert_eq!(ends(&whole[1..3]), (vec![], vec![]));
    // Ends of different things are no arrow.
    assert_eq!(arrows(&[whole[0], of(1, event(12, 1, answers, [5, 20, 0]))]), []);
    // It does not end before it begins, whatever the CPUs' clocks say.
    let late = [of(1, event(10, 0, sends, [5, 20, 1])), of(2, event(8, 1, receives, [5, 20, 0]))];
    assert_eq!(arrows(&late)[0].end.time, 10);
}

#[test]
fn tracks_have_the_names_of_processes() {
    let name = |kind, process, text: &[u8; 16]| {
        let words = u128::from_le_bytes(*text);
        let arguments = [words as u64, (words >> 64) as u64, 0];
        Event { time: 1, cpu: 0, kind, thread: 0, process, arguments }
    };
    let chart = chart(&[
        name(EventKind::ProcessStart, 10, b"sixteen-letters!"),
        name(EventKind::ProcessName, 20, b"short\0\0\0\0\0\0\0\0\0\0\0"),
        of(1, event(2, 0, EventKind::Wake, [0; 3])),
        of(2, event(3, 1, EventKind::Wake, [0; 3])),
        of(3, event(3, 1, EventKind::Wake, [0; 3])),
    ]);
    let all = chart["traceEvents"].as_array().unwrap();
    let named = |what: &str| {
        let labels = all.iter().filter(|event| event["name"] == what);
        labels.map(|label| label["args"]["name"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(named("process_name"), ["CPUs", "sixteen-letters!", "short", "process 30"]);
    assert_eq!(named("thread_name"), ["CPU 0", "CPU 1", "thread 1", "thread 2", "thread 3"]);
}

#[test]
fn what_was_overwritten_is_said() {
    let shown = shown(&[event(1, 1, EventKind::Lost, [17, 0, 0])]);
    assert_eq!(
        (&shown[0]["name"], &shown[0]["args"]["count"]),
        (&"events lost".into(), &17.into())
    );
}
