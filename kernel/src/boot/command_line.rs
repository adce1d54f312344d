//! The kernel's command line: words separated by blanks, most of them `key=value`. A value with
//! blanks is quoted: `exec="a; b"`. GRUB moves the quote before the word (`"exec=a; b"`), so that
//! means the same.
#![forbid(unsafe_code)]

use arrayvec::ArrayString;

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
        let mut rest = self.0.as_str();
        core::iter::from_fn(move || {
            rest = rest.trim_start();
            if rest.is_empty() {
                return None;
            }
            let (word, after) = split_word(rest);
            rest = after;
            Some(match word.split_once('=') {
                Some((key, value)) => (key.trim_matches('"'), Some(value.trim_matches('"'))),
                None => (word.trim_matches('"'), None),
            })
        })
    }

    /// The value of the last word with this key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.words().filter(|(word, _)| *word == key).last().and_then(|(_, value)| value)
    }
}

/// The first word, with its quotes, and what is behind it.
fn split_word(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}
