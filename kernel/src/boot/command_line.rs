//! The kernel's command line, which is read as [`orbital_abi::command_line`] says.
#![forbid(unsafe_code)]

use arrayvec::ArrayString;
use orbital_abi::command_line;

/// How long a command line can be in bytes.
pub const MAX_BYTES: usize = 2048;

/// What the user typed.
#[derive(Clone, Debug, Default)]
pub struct CommandLine(ArrayString<MAX_BYTES>);

impl CommandLine {
    /// Keeps `text`, cut where it is too long.
    pub fn new(text: &str) -> Self {
        let mut kept = ArrayString::new();
        for character in text.chars() {
            if kept.try_push(character).is_err() {
                break;
            }
        }
        Self(kept)
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words, each without its quotes: key, and value if there is one.
    pub fn words(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        command_line::words(&self.0)
    }

    /// The value of the last word with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        command_line::get(&self.0, key)
    }
}
