//! What the shell shows: its own text, what programs print, and below both the line that is being typed.
#![forbid(unsafe_code)]

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use orbital_user::{
    Endpoint, IpcError,
    rpc::{CallError, Client},
    sync::Mutex,
};

use crate::protocol::console::{Answer, Question};

/// How often a text is given to a console that ends over it.
const TRIES: u32 = 3;
/// The most columns that are used: a terminal on the serial line has no more, as far as one knows.
const MOST_COLUMNS: u16 = 80;

/// The console, shared by the shell's threads.
pub struct Terminal {
    console: Client<Question, Answer>,
    /// The line that is being typed, as it is shown; `None` while there is none.
    line: Mutex<Option<String>>,
}

impl Terminal {
    /// The terminal at this console.
    pub const fn new(console: Endpoint) -> Self {
        Self { console: Client::new(console), line: Mutex::new(None) }
    }

    /// Asks the console; again where it has ended over that, and was started anew.
    fn ask(&self, question: &Question) -> Result<Answer, CallError> {
        let mut answer = self.console.call(question);
        for _ in 1..TRIES {
            if !matches!(answer, Err(CallError::Ipc(IpcError::PeerGone))) {
                break;
            }
            answer = self.console.call(question);
        }
        answer
    }

    /// A text that the console does not take has nobody who could be told.
    fn send(&self, text: String) {
        let _ = self.ask(&Question::Write(text));
    }

    /// Shows `text`; where a line is being typed, as lines above that.
    pub fn write(&self, text: &str) {
        if text.is_empty() {
            return;
        }
        let line = self.line.lock();
        self.send(match &*line {
            None => text.to_owned(),
            Some(line) => {
                let end = if text.ends_with('\n') { "" } else { "\n" };
                format!("\r\x1b[K{text}{end}{line}")
            }
        });
    }

    /// Shows `text` wherever the cursor is. The line that is being typed may not be seen any more.
    pub fn write_raw(&self, text: &str) {
        let mut line = self.line.lock();
        *line = None;
        self.send(text.to_owned());
    }

    /// Shows the line that is being typed, as [`Editor::show`](super::line::Editor::show) gives it, if it is not shown yet.
    pub fn show_line(&self, shown: String) {
        let mut line = self.line.lock();
        if line.as_ref() != Some(&shown) {
            self.send(shown.clone());
            *line = Some(shown);
        }
    }

    /// Shows the line again, if there is one: to a console that was started anew.
    pub fn show_again(&self) {
        if let Some(line) = &*self.line.lock() {
            self.send(line.clone());
        }
    }

    /// No line is being typed any more; `text` stands in its place.
    pub fn end_line(&self, text: &str) {
        let mut line = self.line.lock();
        *line = None;
        self.send(format!("\r{text}\x1b[K\n"));
    }

    /// Waits until something was typed; `None` where nothing will ever be, [`Typed::Anew`] where the console was started
    /// anew meanwhile.
    pub fn read(&self) -> Option<Typed> {
        match self.console.call(&Question::Read) {
            Ok(Answer::Typed(bytes)) => Some(Typed::Bytes(bytes)),
            Ok(Answer::Nothing) => Some(Typed::Elsewhere),
            Err(CallError::Ipc(IpcError::PeerGone)) => Some(Typed::Anew),
            Ok(_) | Err(_) => None,
        }
    }

    /// How many columns to use.
    pub fn columns(&self) -> usize {
        match self.ask(&Question::Size) {
            Ok(Answer::Size(columns, _)) => columns.clamp(2, MOST_COLUMNS).into(),
            _ => MOST_COLUMNS.into(),
        }
    }

    /// Whether the console answers: makes one call to it, for measuring.
    ///
    /// # Errors
    /// Those of the call.
    pub fn probe(&self) -> Result<(), CallError> {
        self.console.call(&Question::Size).map(|_| ())
    }
}

/// What came of waiting for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Another program reads now.
    Elsewhere,
    /// The console was started anew.
    Anew,
}
