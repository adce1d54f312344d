//! Which commands there are, and how one is run.
#![forbid(unsafe_code)]

use alloc::{format, string::String};

use super::{
    commands::{census, measure, programs, system},
    state::{Failure, Need, Outcome, Shell},
    words,
};

/// A command.
pub struct Command {
    /// What it is called by.
    pub name: &'static str,
    /// What may follow that.
    pub usage: &'static str,
    /// What it can't do without.
    pub needs: Need,
    /// What it does, in a line.
    pub help: &'static str,
    run: fn(&mut Shell, &[String]) -> Outcome,
}

const fn command(
    name: &'static str,
    usage: &'static str,
    needs: Need,
    help: &'static str,
    run: fn(&mut Shell, &[String]) -> Outcome,
) -> Command {
    Command { name, usage, needs, help, run }
}

/// All of them.
#[rustfmt::skip]
pub const COMMANDS: [Command; 15] = [
    command("help", "[COMMAND]", Need::Nothing, "what commands there are", help),
    command("ps", "", Need::Statistics, "all processes", census::ps),
    command("threads", "[ID]", Need::Statistics, "the threads of all processes, or of one", census::threads),
    command("caps", "[ID | --graph]", Need::Statistics, "capabilities, of all processes or one, or as a graph in DOT", census::caps),
    command("mem", "", Need::Statistics, "memory, and what is kept there", system::mem),
    command("cpu", "", Need::Statistics, "how busy each CPU was since boot", census::cpu),
    command("uptime", "", Need::Nothing, "time since boot", system::uptime),
    command("log", "[LINES]", Need::Log, "the latest lines of the log", system::log),
    command("run", "PROGRAM [ARGUMENTS...] [&]", Need::Processes, "run a program; Ctrl-C ends it, & lets it go on behind", programs::run),
    command("kill", "ID | SERVICE", Need::Enders, "end a program, or a service, which is started anew", programs::kill),
    command("bench", "", Need::Nothing, "a few figures, measured here", measure::bench),
    command("ping", "SERVICE", Need::Nothing, "call a service, and tell how long that takes", measure::ping),
    command("trace", "[EVENTS]", Need::Statistics, "the latest events of all CPUs", system::trace),
    command("echo", "[WORDS...]", Need::Nothing, "show these words", echo),
    command("shutdown", "[CODE]", Need::Supervisor, "end the system, with success where CODE is 0 or missing", system::shutdown),
];

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Runs a command; whether it went well. What did not is told.
pub fn run(shell: &mut Shell, command: &words::Command) -> bool {
    let [name, words @ ..] = &*command.words else { return true };
    let Some(found) = find(name) else {
        shell.line(format_args!("{name}: no such command; help shows which there are"));
        return false;
    };
    let outcome = if !shell.has(found.needs) {
        Err(format!("needs {}, which this shell was not given", found.needs).into())
    } else if !command.in_background {
        (found.run)(shell, words)
    } else if found.name == "run" {
        programs::run_in_background(shell, words)
    } else {
        Err("only programs can go on in the background".into())
    };
    match outcome {
        Ok(()) => return true,
        Err(Failure::Told) => {}
        Err(Failure::Because(reason)) => shell.line(format_args!("{name}: {reason}")),
        Err(Failure::Usage) => shell.line(format_args!("usage: {name} {}", found.usage)),
    }
    false
}

fn help(shell: &mut Shell, words: &[String]) -> Outcome {
    let line = |command: &Command| {
        let usage = format!("{} {}", command.name, command.usage);
        format!("{usage:<32} {}", command.help)
    };
    match words {
        [] => shell.lines(COMMANDS.iter().map(line)),
        [name] => {
            let command = find(name).ok_or_else(|| format!("{name}: no such command"))?;
            shell.line(format_args!("{}", line(command)));
            shell.line(format_args!("needs {}", command.needs));
        }
        _ => return Err(Failure::Usage),
    }
    Ok(())
}

fn echo(shell: &mut Shell, words: &[String]) -> Outcome {
    shell.line(format_args!("{}", words.join(" ")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_lines_fit_on_a_screen() {
        for (place, command) in COMMANDS.iter().enumerate() {
            assert!(COMMANDS[..place].iter().all(|other| other.name != command.name));
            assert!(command.name.len() + command.usage.len() < 32, "{}", command.name);
            assert!(command.help.len() <= 60, "{}", command.name);
            assert!(find(command.name).is_some());
        }
    }
}
