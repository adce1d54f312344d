//! Events as Chrome's JSON ("Trace Event Format", by N. Duca and D. Sinclair): a track for each CPU, with the threads
//! that it ran, and one for each thread, with its system calls; what takes no time on either, and arrows between threads.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use orbital_abi::{
    FaultKind, Syscall,
    trace::{Event, EventKind},
};
use serde_json::{Value, json};

use super::arrows::arrows;

/// The process of the CPUs' tracks, beyond the numbers of processes; also what is added to a CPU's number, so that a track's
/// number is no thread's: viewers take those of all processes together.
const CPUS: u64 = 1 << 30;

/// The trace that shows `events`, which are in order for each CPU.
pub fn chart(events: &[Event]) -> Value {
    let mut events = events.to_vec();
    events.sort_by_key(|event| event.time);
    let mut chart = Chart { end: events.last().map_or(0, |event| event.time), ..Chart::default() };
    for event in &events {
        chart.add(event);
    }
    chart.close_all();
    for arrow in arrows(&events) {
        let end = |event: &Event, phase: &str| {
            json!({
                "ph": phase, "bp": "e", "name": "message", "cat": "ipc", "id": arrow.number,
                "pid": event.process, "tid": event.thread, "ts": microseconds(event.time),
                "args": { "flow": arrow.flow, "cpu": event.cpu },
            })
        };
        chart.shown.push((arrow.start.time, end(&arrow.start, "s")));
        chart.shown.push((arrow.end.time, end(&arrow.end, "f")));
    }
    chart.shown.sort_by_key(|(time, _)| *time);
    let mut all = chart.labels();
    all.extend(chart.shown.into_iter().map(|(_, shown)| shown));
    json!({ "displayTimeUnit": "ns", "traceEvents": all })
}

fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1000.0
}

/// A process, and a track of it.
type Track = (u64, u64);

/// Something that takes time, and is not over.
struct Open {
    name: String,
    since: u64,
    cpu: u8,
}

#[derive(Default)]
struct Chart {
    /// When the last event is.
    end: u64,
    /// What is shown, and from when on.
    shown: Vec<(u64, Value)>,
    open: BTreeMap<Track, Open>,
    /// All tracks of threads.
    threads: BTreeSet<Track>,
    cpus: BTreeSet<u64>,
    names: BTreeMap<u64, String>,
}

fn cpu_track(event: &Event) -> Track {
    (CPUS, CPUS + u64::from(event.cpu))
}

impl Chart {
    fn add(&mut self, event: &Event) {
        let (cpu, thread) = (cpu_track(event), (event.process, event.thread));
        let [first, second, third] = event.arguments;
        if event.thread != 0 {
            self.threads.insert(thread);
        }
        match event.kind {
            EventKind::ProcessName => {
                self.names.insert(event.process, name(event));
                return;
            }
            EventKind::ProcessStart => {
                self.names.insert(event.process, name(event));
                self.instant(event, cpu, "process made", json!({ "process": event.process }));
            }
            EventKind::ProcessEnd => {
                self.instant(event, cpu, "process ended", json!({ "process": event.process }));
            }
            EventKind::ThreadStart => self.instant(event, thread, "started", json!({})),
            EventKind::ThreadEnd => {
                self.close(thread, event.time);
                self.instant(event, thread, "ended", json!({ "reason": [first, second, third] }));
            }
            EventKind::Fault => {
                let arguments =
                    json!({ "kind": fault(first), "address": hex(second), "at": hex(third) });
                self.instant(event, thread, "fault", arguments);
            }
            EventKind::Revoke => {
                self.instant(
                    event,
                    thread,
                    "revoke",
                    json!({ "slot": hex(first), "badge": second }),
                );
            }
            EventKind::SpuriousInterrupt => {
                self.instant(event, cpu, "spurious interrupt", json!({}))
            }
            EventKind::Lost => self.instant(event, cpu, "events lost", json!({ "count": first })),
            EventKind::Syscall => self.open(event, thread, syscall(first)),
            EventKind::PageFault => {
                self.open(event, thread, "page fault".to_owned());
                let arguments =
                    json!({ "kind": fault(first), "address": hex(second), "at": hex(third) });
                self.instant(event, thread, "page fault", arguments);
            }
            EventKind::Resume => self.close(thread, event.time),
            EventKind::Switch => self.open(event, cpu, format!("thread {}", event.thread)),
            EventKind::Idle => self.close(cpu, event.time),
            EventKind::Wake => self.instant(event, thread, "woken", json!({})),
            EventKind::Poll => self.instant(event, thread, "polled", json!({ "over": first == 1 })),
            EventKind::TaskPoll => self.instant(event, cpu, "task", json!({ "priority": first })),
            EventKind::TimerInterrupt => self.instant(event, cpu, "timer", json!({})),
            EventKind::Kick => self.instant(event, cpu, "kick", json!({})),
            EventKind::DeviceInterrupt => {
                self.instant(event, cpu, "device", json!({ "line": first }))
            }
            EventKind::Send | EventKind::Receive | EventKind::Reply | EventKind::Answer => {
                let name = format!("{:?}", event.kind).to_lowercase();
                self.instant(event, thread, &name, json!({ "flow": first, "number": second }));
            }
        }
        self.cpus.insert(event.cpu.into());
    }

    /// Something that takes no time.
    fn instant(&mut self, event: &Event, (process, track): Track, name: &str, mut about: Value) {
        about["cpu"] = event.cpu.into();
        let shown = json!({
            "ph": "i", "s": "t", "name": name, "cat": "event", "pid": process, "tid": track,
            "ts": microseconds(event.time), "args": about,
        });
        self.shown.push((event.time, shown));
    }

    /// Something begins that takes time; what was before on this track is over.
    fn open(&mut self, event: &Event, track: Track, name: String) {
        self.close(track, event.time);
        self.open.insert(track, Open { name, since: event.time, cpu: event.cpu });
    }

    /// What was on this track is over.
    fn close(&mut self, track: Track, time: u64) {
        let Some(Open { name, since, cpu }) = self.open.remove(&track) else { return };
        let (process, track) = track;
        let shown = json!({
            "ph": "X", "name": name, "cat": if process == CPUS { "cpu" } else { "call" },
            "pid": process, "tid": track, "ts": microseconds(since),
            "dur": microseconds(time.saturating_sub(since)), "args": { "cpu": cpu },
        });
        self.shown.push((since, shown));
    }

    /// What is not over goes on to the end.
    fn close_all(&mut self) {
        for track in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(track, self.end);
        }
    }

    /// The names of all tracks.
    fn labels(&self) -> Vec<Value> {
        let label = |what: &str, (process, track): Track, name: &str| json!({ "ph": "M", "name": what, "pid": process, "tid": track, "args": { "name": name } });
        let mut labels = Vec::new();
        if !self.cpus.is_empty() {
            labels.push(label("process_name", (CPUS, CPUS), "CPUs"));
        }
        for cpu in &self.cpus {
            labels.push(label("thread_name", (CPUS, CPUS + cpu), &format!("CPU {cpu}")));
        }
        for process in self.threads.iter().map(|(process, _)| process).collect::<BTreeSet<_>>() {
            let unknown = format!("process {process}");
            let name = self.names.get(process).unwrap_or(&unknown);
            labels.push(label("process_name", (*process, 0), name));
        }
        for track in &self.threads {
            labels.push(label("thread_name", *track, &format!("thread {}", track.1)));
        }
        labels
    }
}

fn name(event: &Event) -> String {
    let [first, second, _] = event.arguments;
    let bytes = (u128::from(second) << 64 | u128::from(first)).to_le_bytes();
    let used = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(used).into_owned()
}

fn syscall(number: u64) -> String {
    match Syscall::from_number(number) {
        Some(call) => format!("{call:?}"),
        None => format!("system call {number}"),
    }
}

fn fault(number: u64) -> String {
    let kind = FaultKind::ALL.into_iter().find(|kind| *kind as u64 == number);
    kind.map_or_else(|| number.to_string(), |kind| kind.to_string())
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}
