//! The system: `uptime`, `log`, `trace`, `shutdown`, `mem`.
#![forbid(unsafe_code)]

use alloc::{collections::VecDeque, format, string::String, vec::Vec};

use orbital_user::{
    Error, ExitReason,
    abi::{
        Syscall,
        statistics::Statistic,
        trace::{Event, EventKind},
    },
    clock, system,
};

use crate::{
    protocol::{log, supervisor},
    shell::state::{Failure, Outcome, Shell, at_most_a_number},
};

/// Lines and events that are shown where no number is given.
const USUAL: u64 = 20;
/// The most.
const MOST: u64 = 10_000;

/// Time since boot.
///
/// # Errors
/// [`Failure::Usage`].
pub fn uptime(shell: &mut Shell, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::Usage);
    }
    let millis = clock::now() / 1_000_000;
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    shell.line(format_args!("up {hours}:{minutes:02}:{:02}.{rest:03}", seconds % 60));
    Ok(())
}

/// Memory and what is kept there.
///
/// # Errors
/// Those of the counters.
pub fn mem(shell: &mut Shell, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::Usage);
    }
    let frames = |statistic| Ok::<_, Error>(system::statistic(statistic)? * 4);
    let mut lines = Vec::new();
    for (what, kib) in [
        ("all frames", frames(Statistic::TotalFrames)?),
        ("free", frames(Statistic::FreeFrames)?),
        ("largest free block", frames(Statistic::LargestFreeBlock)?),
        ("kernel's objects and heap", system::statistic(Statistic::HeapBytes)? / 1024),
    ] {
        lines.push(format!("{kib:>10} KiB  {what}"));
    }
    for (what, statistic) in [
        ("processes", Statistic::Processes),
        ("threads", Statistic::Threads),
        ("endpoints", Statistic::Endpoints),
        ("notifications", Statistic::Notifications),
        ("memory objects", Statistic::MemoryObjects),
        ("timers", Statistic::Timers),
    ] {
        lines.push(format!("{:>10}      {what}", system::statistic(statistic)?));
    }
    shell.lines(lines);
    Ok(())
}

/// The latest lines of the log.
///
/// # Errors
/// Those of the call.
pub fn log(shell: &mut Shell, words: &[String]) -> Outcome {
    let count = at_most_a_number(words, USUAL)?.min(MOST) as u32;
    let service = shell.log.as_ref().ok_or(Failure::Usage)?;
    match service.call(&log::Question::Latest(count))? {
        log::Answer::Lines(lines) => shell.lines(lines.into_iter().map(|line| line.text)),
        log::Answer::NotAllowed => return Err("the log service does not allow that".into()),
    }
    Ok(())
}

/// Ends the system.
///
/// # Errors
/// The supervisor does not allow it.
pub fn shutdown(shell: &mut Shell, words: &[String]) -> Outcome {
    let code = at_most_a_number(words, 0)?;
    let supervisor = shell.supervisor.as_ref().ok_or(Failure::Usage)?;
    match supervisor.call(&supervisor::Question::Shutdown(code))? {
        supervisor::Answer::Done => Ok(()),
        _ => Err("the supervisor does not allow that".into()),
    }
}

/// The latest events of all CPUs' traces, by time.
///
/// # Errors
/// Those of [`system::trace`].
pub fn trace(shell: &mut Shell, words: &[String]) -> Outcome {
    let count = at_most_a_number(words, USUAL)?.clamp(1, MOST) as usize;
    let mut events = Vec::new();
    for cpu in 0.. {
        match latest(cpu, count) {
            Ok(of_cpu) => events.extend(of_cpu),
            // There are no more CPUs.
            Err(Error::InvalidArgument) => break,
            Err(error) => return Err(error.into()),
        }
    }
    events.sort_by_key(|event| event.time);
    let skipped = events.len().saturating_sub(count);
    shell.lines(events[skipped..].iter().map(describe));
    Ok(())
}

/// The latest events of a CPU, up to now: reading may leave events itself.
fn latest(cpu: usize, count: usize) -> Result<VecDeque<Event>, Error> {
    let (mut events, mut position, now) = (VecDeque::new(), 0, clock::now());
    loop {
        match system::trace(cpu, position) {
            Ok(traced) if traced.event.time <= now => {
                position = traced.next;
                if events.len() == count {
                    events.pop_front();
                }
                events.push_back(traced.event);
            }
            Ok(_) | Err(Error::WouldBlock) => return Ok(events),
            Err(error) => return Err(error),
        }
    }
}

/// An event as a line: when and where it was, whose it is, what it is.
fn describe(event: &Event) -> String {
    let micros = event.time / 1000;
    let whose = match (event.process, event.thread) {
        (0, 0) => String::new(),
        (process, 0) => format!("process {process}"),
        (process, thread) => format!("process {process} thread {thread}"),
    };
    let time = format!("[{:5}.{:06}]", micros / 1_000_000, micros % 1_000_000);
    let line = format!("{time} cpu{} {:<24} {}", event.cpu, whose, happened(event));
    line.trim_end().into()
}

fn happened(event: &Event) -> String {
    let [first, second, third] = event.arguments;
    match event.kind {
        EventKind::ProcessStart | EventKind::ProcessName => {
            let bytes = [first.to_le_bytes(), second.to_le_bytes()].concat();
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            format!("{:?} {}", event.kind, String::from_utf8_lossy(&bytes[..end]))
        }
        EventKind::ThreadEnd => match ExitReason::decode([first, second, third, 0]) {
            Some(reason) => format!("ThreadEnd: {reason}"),
            None => "ThreadEnd: faulted".into(),
        },
        EventKind::Syscall => match Syscall::from_number(first) {
            Some(syscall) => format!("Syscall {syscall:?}"),
            None => format!("Syscall {first}"),
        },
        EventKind::Fault | EventKind::PageFault => {
            format!("{:?} kind {first}, address {second:#x}, at {third:#x}", event.kind)
        }
        EventKind::Send | EventKind::Receive | EventKind::Reply | EventKind::Answer => {
            format!("{:?} of flow {first}", event.kind)
        }
        EventKind::Revoke
        | EventKind::Poll
        | EventKind::TaskPoll
        | EventKind::Lost
        | EventKind::DeviceInterrupt => format!("{:?} {first}", event.kind),
        kind => format!("{kind:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, arguments: [u64; 3]) -> Event {
        Event { time: 1_234_567_890, cpu: 1, kind, thread: 7, process: 3, arguments }
    }

    #[test]
    fn events_are_readable() {
        let name = [u64::from_le_bytes(*b"shell\0\0\0"), 0, 0];
        let started = Event { thread: 0, ..event(EventKind::ProcessStart, name) };
        for (event, expected) in [
            (started, "[    1.234567] cpu1 process 3                ProcessStart shell"),
            (
                event(EventKind::Syscall, [0, 0, 0]),
                "[    1.234567] cpu1 process 3 thread 7       Syscall Null",
            ),
            (
                event(EventKind::ThreadEnd, [0, 3, 0]),
                "[    1.234567] cpu1 process 3 thread 7       ThreadEnd: exited with code 3",
            ),
        ] {
            assert_eq!(describe(&event), expected);
        }
        for kind in EventKind::ALL {
            assert!(describe(&event(kind, [u64::MAX; 3])).contains(&format!("{kind:?}")));
        }
    }
}
