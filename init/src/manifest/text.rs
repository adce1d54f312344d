//! The manifest as it is written.
#![forbid(unsafe_code)]

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, ops::Range};

use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::Wrong;

/// The longest reason: one line of the log.
const REASON_BYTES: usize = 160;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<Spanned<Table>>,
}

/// A service's table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) name: Spanned<String>,
    pub(super) program: Option<Spanned<String>>,
    pub(super) arguments: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) serves: bool,
    #[serde(default)]
    pub(super) needs: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) ports: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) interrupts: Vec<Spanned<u64>>,
    #[serde(default)]
    pub(super) framebuffer: bool,
    #[serde(default)]
    pub(super) archive: bool,
    #[serde(default)]
    pub(super) system: Vec<Spanned<String>>,
    pub(super) frames: Option<Spanned<Written>>,
    pub(super) kernel: Option<Spanned<Written>>,
    pub(super) priority: Option<Spanned<u64>>,
    pub(super) cpus: Option<Spanned<Vec<u64>>>,
    pub(super) restart: Option<Spanned<String>>,
    pub(super) backoff: Option<Spanned<String>>,
    pub(super) session: Option<Spanned<bool>>,
}

/// An amount: a number, or a string with a unit.
pub(super) enum Written {
    /// A number.
    Number(u64),
    /// A string.
    Text(String),
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl de::Visitor<'_> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a string")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Written, E> {
        let number = u64::try_from(number);
        number.map(Written::Number).map_err(|_| E::custom("an amount is not below 0"))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Written, E> {
        Ok(Written::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Written, E> {
        Ok(Written::Text(text.into()))
    }
}

/// Reads the file.
pub(super) fn read(text: &str) -> Result<Vec<Spanned<Table>>, Wrong> {
    toml::from_str::<File>(text).map(|file| file.service).map_err(|error| {
        // What else it could be stands in the documentation, and would not fit into a line.
        let message = error.message();
        let message = message.split(", expected one of").next().unwrap_or(message);
        wrong(text, error.span().unwrap_or_default(), message)
    })
}

/// What is wrong at these bytes of the text.
pub(super) fn wrong(text: &str, at: Range<usize>, reason: impl ToString) -> Wrong {
    let mut reason = reason.to_string().replace(char::is_control, " ");
    if reason.len() > REASON_BYTES {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES));
    }
    Wrong { line: line(text.as_bytes(), at.start), reason }
}

/// The line, from 1 on, in which a byte stands.
pub(super) fn line(text: &[u8], at: usize) -> usize {
    text.iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}
