//! What runs: `ps`, `threads`, `caps`, `cpu`.
#![forbid(unsafe_code)]

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use orbital_user::{
    Error,
    abi::{
        ObjectKind, Rights,
        census::{Capability, Process, State, Thread},
        waits::WaitKind,
    },
    clock,
    graph::Graph,
    system,
};

use crate::shell::state::{Failure, Outcome, Shell, milliseconds, number};

/// The word that asks for a graph.
const GRAPH: &str = "--graph";

/// All processes.
///
/// # Errors
/// Those of [`system::processes`].
pub fn ps(shell: &mut Shell, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::Usage);
    }
    let processes = system::processes().collect::<Result<Vec<_>, _>>()?;
    let head = "   id parent state   threads     memory          cpu  name";
    shell.lines([head.to_string()].into_iter().chain(processes.iter().map(process_line)));
    Ok(())
}

fn process_line(process: &Process) -> String {
    let state = if process.is_ending { "ending" } else { "running" };
    let kib = process.frames.0 * 4 + process.kernel_bytes.0.div_ceil(1024);
    let (memory, cpu) = (format!("{kib} KiB"), milliseconds(process.cpu_time));
    let Process { id, parent, threads, .. } = process;
    format!(
        "{id:>5} {parent:>6} {state:<7} {threads:>7} {memory:>10} {cpu:>12}  {}",
        process.name()
    )
}

/// The threads of all processes, or of one.
///
/// # Errors
/// Those of [`system::threads`]; there is no such process.
pub fn threads(shell: &mut Shell, words: &[String]) -> Outcome {
    let of = one_process(words)?;
    let mut lines = Vec::new();
    for thread in system::threads() {
        let thread = thread?;
        if of.is_none_or(|id| id == thread.process) {
            lines.push(thread_line(&thread));
        }
    }
    if lines.is_empty() {
        return Err("no such process".into());
    }
    let head = "   id process cpu priority          cpu  state";
    shell.lines([head.to_string()].into_iter().chain(lines));
    Ok(())
}

/// The only word, as a process's number; `None` where there is no word.
fn one_process(words: &[String]) -> Result<Option<u64>, Failure> {
    match words {
        [] => Ok(None),
        [word] => number(word).map(Some).ok_or(Failure::Usage),
        _ => Err(Failure::Usage),
    }
}

fn thread_line(thread: &Thread) -> String {
    let Thread { id, process, cpu, .. } = thread;
    let priority = match (thread.priority, thread.effective_priority) {
        (own, effective) if own == effective => own.to_string(),
        (own, effective) => format!("{own}>{effective}"),
    };
    let time = milliseconds(thread.cpu_time);
    format!("{id:>5} {process:>7} {cpu:>3} {priority:>8} {time:>12}  {}", state(thread.state))
}

fn state(state: State) -> String {
    match state {
        State::New => "new".into(),
        State::Ready => "ready".into(),
        State::Running => "running".into(),
        State::Suspended => "suspended".into(),
        State::Blocked(kind, whom) => {
            let what = match kind {
                WaitKind::Send => "to be received",
                WaitKind::Receive => "for messages",
                WaitKind::Reply => "for a reply",
                WaitKind::Signal => "for signals",
                WaitKind::Handler => "for its fault handler",
                WaitKind::Thread => "for the end of a thread",
                WaitKind::Process => "for the end of a process",
                WaitKind::Asking => "for a change of a thread",
                WaitKind::Sleep => "for a time",
                WaitKind::Work => "for the kernel",
            };
            if whom == 0 { format!("waits {what}") } else { format!("waits {what} ({whom})") }
        }
    }
}

/// The capabilities of all processes, or of one; or all as a graph.
///
/// # Errors
/// Those of [`system::capabilities`]; there is no such process.
pub fn caps(shell: &mut Shell, words: &[String]) -> Outcome {
    if let [word] = words
        && word == GRAPH
    {
        let graph = Graph::take()?.to_string();
        shell.lines(graph.lines().map(String::from));
        return Ok(());
    }
    let of = one_process(words)?;
    let mut is_found = false;
    let mut lines = Vec::new();
    for process in system::processes() {
        let process = process?;
        if of.is_some_and(|id| id != process.id) {
            continue;
        }
        is_found = true;
        lines.push(format!("{} ({})", process.name(), process.id));
        for capability in system::capabilities(process.id) {
            lines.push(capability_line(&capability?));
        }
    }
    if !is_found {
        return Err("no such process".into());
    }
    shell.lines(lines);
    Ok(())
}

fn capability_line(capability: &Capability) -> String {
    let Capability { slot, kind, identity, rights, badge, .. } = capability;
    let object = match kind {
        ObjectKind::Process | ObjectKind::Thread => identity.to_string(),
        _ => format!("{identity:016x}"),
    };
    let mut line =
        format!("{:>5}  {:<12} {object:<16}  {}", slot.index(), kind.name(), of(*rights));
    if *badge != 0 {
        line.push_str(&format!(", badge {badge:#x}"));
    }
    line
}

fn of(rights: Rights) -> String {
    let names: Vec<_> = rights.iter_names().map(|(name, _)| name.to_lowercase()).collect();
    names.join(" ")
}

/// How busy each CPU was since boot.
///
/// # Errors
/// Those of [`system::idle_time`].
pub fn cpu(shell: &mut Shell, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::Usage);
    }
    let mut lines = Vec::new();
    for cpu in 0.. {
        let idle = match system::idle_time(cpu) {
            Ok(idle) => idle,
            // There are no more.
            Err(Error::InvalidArgument) => break,
            Err(error) => return Err(error.into()),
        };
        let busy = clock::now().saturating_sub(idle);
        let percent = busy * 100 / (busy + idle).max(1);
        let (busy, idle) = (milliseconds(busy), milliseconds(idle));
        lines.push(format!("cpu{cpu:<3} busy {busy:>14} ({percent:>3} %)  idle {idle:>14}"));
    }
    shell.lines(lines);
    Ok(())
}

#[cfg(test)]
mod tests {
    use orbital_user::CapSlot;

    use super::*;

    #[test]
    fn a_process_is_a_line_with_its_number_first() {
        let mut name = [0; _];
        name[..4].copy_from_slice(b"init");
        let process = Process {
            id: 7,
            parent: 1,
            name,
            is_ending: false,
            threads: 2,
            frames: (10, 20),
            kernel_bytes: (1025, 4096),
            cpu_time: 1_234_567,
        };
        let expected = "    7      1 running       2     42 KiB     1.234 ms  init";
        assert_eq!(process_line(&process), expected);
    }

    #[test]
    fn a_thread_tells_what_it_waits_for() {
        let thread = Thread {
            id: 3,
            process: 7,
            state: State::Blocked(WaitKind::Reply, 9),
            priority: 128,
            effective_priority: 130,
            cpu: 1,
            affinity: u64::MAX,
            cpu_time: 0,
        };
        let expected = "    3       7   1  128>130     0.000 ms  waits for a reply (9)";
        assert_eq!(thread_line(&thread), expected);
    }

    #[test]
    fn a_capability_tells_what_it_allows() {
        let capability = Capability {
            slot: CapSlot::new(5, 6),
            kind: ObjectKind::Endpoint,
            identity: 0xab,
            rights: Rights::SEND | Rights::GRANT,
            badge: 0x101,
            parent: None,
        };
        let line = capability_line(&capability);
        assert!(line.starts_with("    5  endpoint     00000000000000ab  "), "{line}");
        assert!(line.contains("send") && line.contains("grant"), "{line}");
        assert!(line.ends_with(", badge 0x101"), "{line}");
    }
}
