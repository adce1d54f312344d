//! Programs that the shell has started, by the process server.
#![forbid(unsafe_code)]

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Rights,
    output::{OUTPUT, Output},
    rpc::{self, Client},
    thread,
};

use super::{
    events::{Event, Events},
    terminal::Terminal,
};
use crate::protocol::{
    names,
    processes::{Answer, Program, Question},
};

/// A program that runs, or has ended and was not told of.
#[derive(Clone, Debug)]
struct Started {
    id: u64,
    name: String,
}

/// The process server, and what was started there.
pub struct Programs {
    server: Arc<Client<Question, Answer>>,
    /// Where they print to: the shell itself.
    output: Endpoint,
    events: Arc<Events>,
    background: Vec<Started>,
}

impl Programs {
    /// Those of the server at `endpoint`. What they print is shown on `terminal`.
    ///
    /// # Errors
    /// Those of an endpoint and a thread.
    pub fn new(
        endpoint: Endpoint,
        terminal: Arc<Terminal>,
        events: Arc<Events>,
    ) -> Result<Self, Error> {
        let own = Endpoint::create()?;
        let output = own.copy(Rights::SEND | Rights::GRANT, 0)?;
        let listen = move || {
            rpc::serve(&own, |call: rpc::Call<Output>| {
                let Output::Write(text) = call.question;
                terminal.write(&text);
                rpc::Answer::Reply(())
            })
        };
        // It ends with the shell.
        thread::spawn(listen)?.detach();
        let server = Arc::new(Client::new(endpoint));
        Ok(Self { server, output, events, background: Vec::new() })
    }

    fn ask(&self, question: &Question) -> Result<Answer, String> {
        self.server.call(question).map_err(|error| format!("the process server: {error}"))
    }

    /// Starts a program and gives its number. An [`Event::Ended`] tells its end. It gets the shell as its output, and the
    /// capability to the name service in `names`, if there is one: all programs of the shell's, and the shell itself, are one
    /// client of that.
    ///
    /// # Errors
    /// Why it could not be started.
    pub fn start(
        &mut self,
        name: &str,
        arguments: &str,
        names: Option<CapSlot>,
    ) -> Result<u64, String> {
        let output = (OUTPUT.into(), self.output.slot());
        let names = names.map(|slot| (names::NAME.into(), slot));
        let (given, slots): (_, Vec<_>) = [output].into_iter().chain(names).unzip();
        let program = Program {
            name: name.into(),
            arguments: arguments.into(),
            frames: 0,
            kernel_bytes: 0,
            given,
        };
        let answered = self.server.call_with(&Question::Start(program), &slots);
        let (answer, _) = answered.map_err(|error| format!("the process server: {error}"))?;
        let id = match answer {
            Answer::Started(id) => id,
            Answer::Unknown => return Err(format!("{name}: no such program")),
            Answer::Failed(reason) => return Err(format!("{name}: {reason}")),
            other => return Err(refusal(&other)),
        };
        let (server, events) = (Arc::clone(&self.server), Arc::clone(&self.events));
        let watch = move || {
            let reason = match server.call(&Question::Wait(id)) {
                Ok(Answer::Ended(words)) => ExitReason::decode(words),
                _ => None,
            };
            events.push(Event::Ended(id, reason));
        };
        match thread::spawn(watch) {
            Ok(watcher) => watcher.detach(),
            Err(error) => {
                // Nobody would be told of its end.
                let _ = self.kill(id);
                return Err(format!("{name}: can't be waited for: {error}"));
            }
        }
        Ok(id)
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// Why not.
    pub fn probe(&self) -> Result<(), String> {
        self.ask(&Question::List).map(|_| ())
    }

    /// Notes that it goes on while other commands run.
    pub fn leave(&mut self, id: u64, name: &str) {
        self.background.push(Started { id, name: name.into() });
    }

    /// Ends the program with this number; `false` where there is none.
    ///
    /// # Errors
    /// Why not.
    pub fn kill(&self, id: u64) -> Result<bool, String> {
        match self.ask(&Question::Kill(id))? {
            Answer::Done => Ok(true),
            Answer::Unknown => Ok(false),
            other => Err(refusal(&other)),
        }
    }

    /// What to tell of the end of a program in the background, if it was one.
    pub fn ended(&mut self, id: u64, reason: Option<ExitReason>) -> Option<String> {
        let place = self.background.iter().position(|started| started.id == id)?;
        let Started { name, .. } = self.background.remove(place);
        Some(format!("[{id}] {name}: {}\n", report(reason)))
    }
}

fn refusal(answer: &Answer) -> String {
    match answer {
        Answer::NotAllowed => "the process server does not allow that".into(),
        _ => "the process server's answer makes no sense".into(),
    }
}

/// How a program has ended, in words.
pub fn report(reason: Option<ExitReason>) -> String {
    match reason {
        None => "ended with the process server".to_string(),
        Some(ExitReason::Exited(code)) => format!("exited with {code}"),
        Some(ExitReason::Killed) => "killed".to_string(),
        Some(ExitReason::Faulted(fault)) => format!(
            "fault: {} at {:#x}, address {:#x}",
            fault.kind, fault.instruction_pointer, fault.address
        ),
    }
}

#[cfg(test)]
mod tests {
    use orbital_user::{Fault, FaultKind};

    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        let fault = Fault { kind: FaultKind::PageRead, address: 0x10, instruction_pointer: 0x20 };
        for (reason, expected) in [
            (Some(ExitReason::Exited(3)), "exited with 3"),
            (Some(ExitReason::Killed), "killed"),
            (Some(ExitReason::Faulted(fault)), "fault: read refused at 0x20, address 0x10"),
            (None, "ended with the process server"),
        ] {
            assert_eq!(report(reason), expected);
        }
    }
}
