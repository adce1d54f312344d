//! Figures measured in place: `bench`, `ping`.
#![forbid(unsafe_code)]

use alloc::{format, string::String, vec::Vec};

use orbital_user::{
    Message, Notification,
    abi::{Registers, Syscall},
    clock,
    syscall::harmless,
};

use crate::{
    names::client::look_up,
    protocol::{log, names, supervisor},
    shell::state::{Failure, Outcome, Shell, milliseconds},
};

/// How often each is done.
const ROUNDS: usize = 500;

/// A few figures, in ticks of the time-stamp counter; under `--icount` these are instructions.
///
/// # Errors
/// Those of what is measured.
pub fn bench(shell: &mut Shell, words: &[String]) -> Outcome {
    if !words.is_empty() {
        return Err(Failure::Usage);
    }
    let word = Notification::create()?;
    let mut lines = Vec::new();
    let mut figure = |what: &str, mut act: &mut dyn FnMut() -> Outcome| {
        let (least, median) = measure(&mut act)?;
        lines.push(format!("{least:>10} {median:>10}  {what}"));
        Ok::<_, Failure>(())
    };
    figure("nothing, the counter alone", &mut || Ok(()))?;
    figure("null system call", &mut || {
        Ok(harmless(Syscall::Null, &Registers::default()).map(|_| ())?)
    })?;
    figure("signal, and take it", &mut || {
        word.signal(1)?;
        Ok(word.poll().map(|_| ())?)
    })?;
    figure("call to the console, and its reply", &mut || Ok(shell.terminal.probe()?))?;
    shell.line(format_args!("     least     median  ticks"));
    shell.lines(lines);
    Ok(())
}

/// The least and the median number of ticks that it takes.
fn measure(act: &mut dyn FnMut() -> Outcome) -> Result<(u64, u64), Failure> {
    let mut taken = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let before = clock::ticks();
        act()?;
        taken.push(clock::ticks().wrapping_sub(before));
    }
    taken.sort_unstable();
    Ok((taken[0], taken[ROUNDS / 2]))
}

/// Calls a service, and tells how long that took.
///
/// # Errors
/// There is no such service, or it does not answer.
pub fn ping(shell: &mut Shell, words: &[String]) -> Outcome {
    let [name] = words else { return Err(Failure::Usage) };
    let before = clock::now();
    match name.as_str() {
        "console" => shell.terminal.probe()?,
        "processes" => {
            let programs = shell.programs.as_ref().ok_or_else(|| missing(name))?;
            programs.probe()?;
        }
        "log" => {
            let log = shell.log.as_ref().ok_or_else(|| missing(name))?;
            log.call(&log::Question::Latest(0))?;
        }
        "names" => {
            let names = shell.names.as_ref().ok_or_else(|| missing(name))?;
            names.call(&names::Question::List)?;
        }
        "supervisor" => {
            let supervisor = shell.supervisor.as_ref().ok_or_else(|| missing(name))?;
            supervisor.call(&supervisor::Question::List)?;
        }
        other => return ping_by_name(shell, other),
    }
    answered(shell, name, before);
    Ok(())
}

fn missing(name: &str) -> Failure {
    format!("this shell was not given {name}").into()
}

fn answered(shell: &Shell, name: &str, before: u64) {
    let taken = milliseconds(clock::now().saturating_sub(before));
    shell.line(format_args!("{name}: answered in {taken}"));
}

/// The same for whoever has registered this name. Any answer will do, a refusal too.
fn ping_by_name(shell: &Shell, name: &str) -> Outcome {
    let names = shell.names.as_ref().ok_or_else(|| missing("the name service"))?;
    let endpoint = look_up(names, name).map_err(|failure| format!("{name}: {failure}"))?;
    let before = clock::now();
    endpoint.call(&Message::default()).map_err(|error| format!("{name}: {error}"))?;
    answered(shell, name, before);
    Ok(())
}
