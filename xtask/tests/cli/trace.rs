//! `--trace`: the file is there and whole, however the machine ends.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, run};

/// Runs with a trace; gives what is in it.
fn traced(options: &[&str]) -> (Ran, Vec<Value>) {
    let folder = TempDir::new().expect("a folder");
    let file: PathBuf = folder.path().join("a,trace.json");
    let words = [&["--boot", "direct", "--trace", file.to_str().unwrap()], options].concat();
    let ran = run(&words);
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let trace: Value = serde_json::from_slice(&text).expect("JSON");
    (ran, trace["traceEvents"].as_array().expect("a list").clone())
}

fn with<'a>(events: &'a [Value], phase: &'a str) -> impl Iterator<Item = &'a Value> {
    events.iter().filter(move |event| event["ph"] == phase)
}

#[test]
fn the_demo_s_trace_is_in_order_and_each_arrow_has_both_ends() {
    let (ran, events) = traced(&[]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stdout.contains("init: all checks passed"), "{ran:?}");
    // In order per CPU.
    let mut last = BTreeMap::<u64, f64>::new();
    for event in events.iter().filter(|event| event["ph"] != "M") {
        let cpu = event["args"]["cpu"].as_u64().unwrap_or_else(|| panic!("{event}"));
        let time = event["ts"].as_f64().unwrap_or_else(|| panic!("{event}"));
        let before = last.insert(cpu, time).unwrap_or(0.0);
        assert!(before <= time, "{event} after {before}");
        assert!(event["dur"].as_f64().is_none_or(|duration| duration >= 0.0), "{event}");
    }
    assert_eq!(last.keys().copied().collect::<Vec<_>>(), [0, 1]);
    // Arrows.
    let ends = |phase| {
        let ends = with(&events, phase);
        ends.map(|end| (end["id"].as_u64().unwrap(), end)).collect::<BTreeMap<_, _>>()
    };
    let (starts, finishes) = (ends("s"), ends("f"));
    assert!(starts.len() > 10, "{}", starts.len());
    assert_eq!(with(&events, "s").count(), starts.len(), "a number comes once");
    assert_eq!(with(&events, "f").count(), finishes.len());
    assert!(starts.keys().eq(finishes.keys()));
    for (id, start) in &starts {
        let finish = finishes[id];
        assert!(start["ts"].as_f64() <= finish["ts"].as_f64(), "{start} {finish}");
        assert_eq!(start["args"]["flow"], finish["args"]["flow"]);
        assert_ne!(start["tid"], finish["tid"], "{start} {finish}");
    }
    // Nothing was lost of it, so all that was received was sent.
    assert!(!events.iter().any(|event| event["name"] == "events lost"));
    let named = |name: &str| events.iter().filter(|event| event["name"] == name).count();
    assert_eq!(named("receive") + named("answer"), starts.len());
    // A track for each CPU and each thread, in the process of that name.
    let label = |what: &str| -> BTreeSet<&str> {
        let labels = events.iter().filter(|event| event["name"] == what);
        labels.map(|label| label["args"]["name"].as_str().unwrap()).collect()
    };
    for process in ["CPUs", "init"] {
        assert!(label("process_name").contains(process), "{:?}", label("process_name"));
    }
    for thread in ["CPU 0", "CPU 1", "thread 1"] {
        assert!(label("thread_name").contains(thread), "{:?}", label("thread_name"));
    }
    assert!(with(&events, "X").any(|slice| slice["name"] == "Call"));
}

#[test]
fn the_user_s_words_may_want_less() {
    let (ran, events) = traced(&["--append", "trace=events"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(events.iter().any(|event| event["name"] == "started"));
    assert!(!events.iter().any(|event| event["name"] == "woken"));
}

#[test]
fn a_panic_and_a_time_out_leave_a_whole_file() {
    let (ran, _) = traced(&["--append", "test=panic"]);
    assert_eq!(ran.status, 3, "{ran:?}");
    assert!(!ran.stderr.contains("without leaving its events"), "{ran:?}");
    let (ran, events) = traced(&["--append", "test=hang", "--timeout", "10"]);
    assert_eq!((ran.status, events.len()), (4, 0), "{ran:?}");
    assert!(ran.stderr.contains("without leaving its events"), "{ran:?}");
}

#[test]
fn what_can_t_be_traced_or_written_is_one_line_and_status_2() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("trace.json");
    let bochs = run(&["--machine", "bochs", "--trace", file.to_str().unwrap()]);
    assert!(bochs.stderr.contains("--machine bochs has no --trace"), "{bochs:?}");
    assert!(!file.exists());
    let nowhere = run(&["--trace", "/nonexistent/trace.json"]);
    assert!(nowhere.stderr.contains("/nonexistent/trace.json"), "{nowhere:?}");
    for ran in [bochs, nowhere] {
        assert_eq!((ran.status, ran.stderr.lines().count()), (2, 1), "{ran:?}");
    }
}
