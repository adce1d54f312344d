//! What commands have at hand.
#![forbid(unsafe_code)]

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use orbital_user::{
    ExitReason, Rights, capability,
    rpc::{CallError, Client},
    start::bootstrap,
};

use super::{events::Events, programs::Programs, terminal::Terminal};
use crate::{
    console::input::Input,
    names,
    protocol::{log, supervisor},
};

/// Why a command has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This is to be told, behind the command's name.
    Because(String),
    /// It was told already.
    Told,
    /// Its words are not those that it understands.
    Usage,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self::Because(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Self {
        Self::Because(reason.into())
    }
}

impl From<orbital_user::Error> for Failure {
    fn from(error: orbital_user::Error) -> Self {
        Self::Because(error.to_string())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::Because(error.to_string())
    }
}

/// What becomes of a command.
pub type Outcome = Result<(), Failure>;

/// Something that a command can't do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing beside the console.
    Nothing,
    /// The right to read the kernel's counters.
    Statistics,
    /// The process server.
    Processes,
    /// That, or init.
    Enders,
    /// The log service.
    Log,
    /// Init, as the services' supervisor.
    Supervisor,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Statistics => "the right to the kernel's statistics",
            Self::Processes => "the process server",
            Self::Enders => "the process server or the supervisor",
            Self::Log => "the log service",
            Self::Supervisor => "the supervisor",
        })
    }
}

/// The shell, as its commands see it.
pub struct Shell {
    /// Where they show what they have to say.
    pub terminal: Arc<Terminal>,
    /// What happens meanwhile.
    pub events: Arc<Events>,
    /// What was typed and not read.
    pub ahead: Input,
    /// Whether more may come.
    pub has_input: bool,
    /// What to tell before the next prompt.
    pub news: Vec<String>,
    /// Programs.
    pub programs: Option<Programs>,
    /// The log service.
    pub log: Option<Client<log::Question, log::Answer>>,
    /// The name service.
    pub names: Option<names::client::Client>,
    /// Init.
    pub supervisor: Option<Client<supervisor::Question, supervisor::Answer>>,
}

impl Shell {
    /// Whether it has what a command needs.
    pub fn has(&self, need: Need) -> bool {
        match need {
            Need::Nothing => true,
            Need::Statistics => capability::inspect(bootstrap().system)
                .is_ok_and(|found| found.rights.contains(Rights::STATISTICS)),
            Need::Processes => self.programs.is_some(),
            Need::Enders => self.programs.is_some() || self.supervisor.is_some(),
            Need::Log => self.log.is_some(),
            Need::Supervisor => self.supervisor.is_some(),
        }
    }

    /// A program has ended that nobody waits for at the moment: that is to be told, if it is one of the background's.
    pub fn ended(&mut self, id: u64, reason: Option<ExitReason>) {
        let told = self.programs.as_mut().and_then(|programs| programs.ended(id, reason));
        self.news.extend(told);
    }

    /// A service was started anew: that is to be told, once for as often as it was until then.
    pub fn started_anew(&mut self, service: &str) {
        let told = format!("{service}: started anew\n");
        if !self.news.contains(&told) {
            self.news.push(told);
        }
    }

    /// Which services it was given, as init calls them.
    pub fn services(&self) -> Vec<&'static str> {
        let given = [
            ("console", true),
            ("processes", self.programs.is_some()),
            ("log", self.log.is_some()),
            ("names", self.names.is_some()),
        ];
        given.into_iter().filter_map(|(name, is_given)| is_given.then_some(name)).collect()
    }

    /// Shows a line.
    pub fn line(&self, line: fmt::Arguments<'_>) {
        self.terminal.write(&format!("{line}\n"));
    }

    /// Shows lines, as one text as far as that goes: a console's text is no longer than a message.
    pub fn lines(&self, lines: impl IntoIterator<Item = String>) {
        let mut text = String::new();
        for line in lines {
            if text.len() + line.len() >= MOST_TEXT {
                self.terminal.write(&core::mem::take(&mut text));
            }
            text.push_str(&line);
            text.push('\n');
        }
        self.terminal.write(&text);
    }
}

/// Bytes of a text that fit into a message with what belongs to it.
const MOST_TEXT: usize = 3500;

/// `nanoseconds` in milliseconds, to three places.
pub fn milliseconds(nanoseconds: u64) -> String {
    let micros = nanoseconds / 1000;
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

/// Reads a number, decimal or with `0x`.
pub fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// The only word, as a number, or `default` where there is none.
///
/// # Errors
/// [`Failure::Usage`].
pub fn at_most_a_number(words: &[String], default: u64) -> Result<u64, Failure> {
    match words {
        [] => Ok(default),
        [word] => number(word).ok_or(Failure::Usage),
        _ => Err(Failure::Usage),
    }
}
