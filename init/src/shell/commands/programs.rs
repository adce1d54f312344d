//! Programs: `run`, `kill`.
#![forbid(unsafe_code)]

use alloc::{format, string::String};

use orbital_user::ExitReason;

use crate::{
    protocol::supervisor::{Answer, Question},
    shell::{
        events::Event,
        programs::report,
        state::{Failure, Outcome, Shell, number},
    },
};

/// What Ctrl-C types.
const INTERRUPT: u8 = 3;

/// Starts a program, and waits for its end.
///
/// # Errors
/// It could not be started, or did not end with 0.
pub fn run(shell: &mut Shell, words: &[String]) -> Outcome {
    let (id, name) = start(shell, words)?;
    let reason = wait(shell, id)?;
    shell.line(format_args!("{name}: {}", report(reason)));
    if reason == Some(ExitReason::Exited(0)) { Ok(()) } else { Err(Failure::Told) }
}

/// Starts a program, and goes on.
///
/// # Errors
/// It could not be started.
pub fn run_in_background(shell: &mut Shell, words: &[String]) -> Outcome {
    let (id, name) = start(shell, words)?;
    if let Some(programs) = &mut shell.programs {
        programs.leave(id, &name);
    }
    shell.line(format_args!("[{id}] {name}"));
    Ok(())
}

fn start(shell: &mut Shell, words: &[String]) -> Result<(u64, String), Failure> {
    let [name, arguments @ ..] = words else { return Err(Failure::Usage) };
    let names = shell.names.as_ref().map(|names| names.endpoint().slot());
    let programs = shell.programs.as_mut().ok_or(Failure::Usage)?;
    let id = programs.start(name, &arguments.join(" "), names)?;
    Ok((id, name.clone()))
}

/// Waits for its end. Ctrl-C ends it; what else is typed is for the next prompt.
fn wait(shell: &mut Shell, id: u64) -> Result<Option<ExitReason>, Failure> {
    loop {
        match shell.events.wait() {
            Event::Ended(ended, reason) if ended == id => return Ok(reason),
            Event::Ended(other, reason) => shell.ended(other, reason),
            Event::Typed(bytes) => {
                let (before, after) = match bytes.iter().position(|byte| *byte == INTERRUPT) {
                    // What was typed before it is abandoned, as a line is.
                    Some(place) => (None, &bytes[place + 1..]),
                    None => (Some(&bytes[..]), &[][..]),
                };
                if before.is_none() {
                    shell.ahead.take();
                    if let Some(programs) = &shell.programs {
                        programs.kill(id)?;
                    }
                }
                before.unwrap_or(after).iter().for_each(|byte| shell.ahead.push(*byte));
            }
            Event::StartedAnew(service) => shell.started_anew(service),
            Event::ConsoleAnew => {}
            // The next prompt finds that out again.
            Event::NoInput => shell.has_input = false,
        }
    }
}

/// Ends a program by its number, or a service by its name or number.
///
/// # Errors
/// There is none, or it may not be ended.
pub fn kill(shell: &mut Shell, words: &[String]) -> Outcome {
    let [word] = words else { return Err(Failure::Usage) };
    let Some(id) = number(word) else { return end_service(shell, word) };
    if let Some(programs) = &shell.programs
        && programs.kill(id)?
    {
        return Ok(());
    }
    let services = match &shell.supervisor {
        Some(supervisor) => supervisor.call(&Question::List)?,
        None => Answer::NotAllowed,
    };
    let Answer::Services(services) = services else {
        return Err(format!("{id}: no program of the process server's").into());
    };
    match services.into_iter().find(|service| service.process == Some(id)) {
        Some(service) => end_service(shell, &service.name),
        None => {
            Err(format!("{id}: neither a program of the process server's nor a service").into())
        }
    }
}

fn end_service(shell: &Shell, name: &str) -> Outcome {
    let supervisor = shell
        .supervisor
        .as_ref()
        .ok_or_else(|| Failure::from("needs the supervisor for services"))?;
    match supervisor.call(&Question::Kill(name.into()))? {
        Answer::Done => Ok(()),
        Answer::NotAllowed => Err("the supervisor does not allow that".into()),
        _ => Err(format!("{name}: no service that runs").into()),
    }
}
