//! A session: a person's, or that of the commands which the kernel's command line names.
#![forbid(unsafe_code)]

use alloc::{format, string::String, sync::Arc, vec::Vec};

use orbital_user::{Endpoint, Error, clock, thread};

use super::{
    events::{Event, Events},
    line::{self, Editor},
    programs::Programs,
    services,
    state::Shell,
    table,
    terminal::{Terminal, Typed},
    words::parse,
};
use crate::console::input::Input;

/// What stands before a line.
pub const PROMPT: &str = "orbital> ";
const GREETING: &str = "Orbital. Type help for the commands.";
/// How long one waits for another reader to have enough.
const PATIENCE_NS: u64 = 100_000_000;

impl Shell {
    /// A shell at this console, with no other service; `processes` is where programs are started.
    ///
    /// # Errors
    /// Those of its threads.
    pub fn start(console: Endpoint, processes: Option<Endpoint>) -> Result<Self, Error> {
        let terminal = Arc::new(Terminal::new(console));
        let events = Arc::new(Events::default());
        let programs = processes
            .map(|endpoint| Programs::new(endpoint, Arc::clone(&terminal), Arc::clone(&events)));
        let reader = (Arc::clone(&terminal), Arc::clone(&events));
        thread::spawn(move || read(&reader.0, &reader.1))?.detach();
        Ok(Self {
            terminal,
            events,
            ahead: Input::new(),
            has_input: true,
            news: Vec::new(),
            programs: programs.transpose()?,
            log: None,
            names: None,
            supervisor: None,
        })
    }

    /// Runs the commands of a line; whether all went well.
    pub fn execute(&mut self, line: &str) -> bool {
        match parse(line) {
            Ok(commands) => {
                // All of them run, whatever becomes of one.
                let failed = commands.iter().filter(|command| !table::run(self, command));
                failed.count() == 0
            }
            Err(error) => {
                self.line(format_args!("{error}"));
                false
            }
        }
    }

    /// Talks with a person, for as long as there is one.
    pub fn talk(&mut self) {
        self.line(format_args!("{GREETING}"));
        if let Some(supervisor) = &self.supervisor {
            // Without it, there is nothing to tell.
            let _ = services::watch(supervisor, self.services(), Arc::clone(&self.events));
        }
        let columns = self.terminal.columns();
        let mut editor = Editor::default();
        while let Some(line) = self.prompt(&mut editor, columns) {
            self.execute(&line);
        }
    }

    /// Shows the prompt, and gives the line that is typed there; `None` where nothing can be.
    fn prompt(&mut self, editor: &mut Editor, columns: usize) -> Option<String> {
        loop {
            for news in core::mem::take(&mut self.news) {
                self.terminal.write(&news);
            }
            let typed = self.ahead.take().unwrap_or_default();
            for (place, byte) in typed.iter().enumerate() {
                match editor.byte(*byte) {
                    Some(line::Event::Line(line)) => {
                        self.ahead.put_back(&typed[place + 1..]);
                        self.terminal.end_line(&format!("{PROMPT}{line}"));
                        return Some(line);
                    }
                    Some(line::Event::Abandoned) => self.terminal.end_line(&format!("{PROMPT}^C")),
                    Some(line::Event::EndOfInput) => {
                        self.terminal.end_line(PROMPT);
                        self.line(format_args!("There is no way out but shutdown."));
                    }
                    Some(line::Event::Clear) => self.terminal.write_raw("\x1b[2J\x1b[H"),
                    None => {}
                }
            }
            if !self.has_input {
                return None;
            }
            self.terminal.show_line(editor.show(PROMPT, columns));
            self.wait_for_keys();
        }
    }

    /// Waits for something that changes the line.
    fn wait_for_keys(&mut self) {
        match self.events.wait() {
            Event::Typed(bytes) => bytes.into_iter().for_each(|byte| self.ahead.push(byte)),
            Event::ConsoleAnew => self.terminal.show_again(),
            Event::StartedAnew(service) => self.started_anew(service),
            Event::NoInput => self.has_input = false,
            Event::Ended(id, reason) => self.ended(id, reason),
        }
    }
}

/// Waits for what is typed, again and again.
fn read(terminal: &Terminal, events: &Events) {
    loop {
        match terminal.read() {
            Some(Typed::Bytes(bytes)) => events.push(Event::Typed(bytes)),
            Some(Typed::Anew) => events.push(Event::ConsoleAnew),
            Some(Typed::Elsewhere) => clock::sleep(PATIENCE_NS),
            None => return events.push(Event::NoInput),
        }
    }
}
