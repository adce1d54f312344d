//! The manifest: which services there are, and what each may use. Init reads it, and nobody has more than stands there.
//!
//! | module | what |
//! |---|---|
//! | [`service`] | a service as the manifest names it, checked |
//! | `text` | the file's own shape: TOML |
//! | `values` | what stands in its strings: ports, amounts, times, rights |
//! | `check` | from the one to the other |
//! | `order` | who is started before whom |
//!
//! What is wrong is told with its line ([`Wrong`]).
#![forbid(unsafe_code)]

mod check;
mod order;
pub mod service;
#[cfg(test)]
mod tests;
mod text;
mod values;

use alloc::{string::String, vec::Vec};
use core::fmt;

pub use service::{Amount, Need, Provider, Restart, Service};

/// The manifest's name in the archive of programs.
pub const FILE: &str = "manifest.toml";
/// Init's own name where services need it.
pub const SUPERVISOR: &str = "supervisor";
/// How many services there can be: a thread of init's waits for the end of each.
pub const MOST: usize = 48;

/// All services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// As they stand in the file.
    pub services: Vec<Service>,
    /// Their places there, those that others need before those others.
    pub order: Vec<usize>,
}

/// What is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, from 1 on.
    pub line: usize,
    /// One phrase.
    pub reason: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "manifest:{}: {}", self.line, self.reason)
    }
}

impl Manifest {
    /// Reads a manifest. `has_program` tells which programs there are.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(file: &[u8], has_program: impl Fn(&str) -> bool) -> Result<Self, Wrong> {
        let text = core::str::from_utf8(file).map_err(|error| Wrong {
            line: text::line(file, error.valid_up_to()),
            reason: "not UTF-8".into(),
        })?;
        let raw = text::read(text)?;
        let services = check::services(text, &raw, &has_program)?;
        let order = order::order(&services)
            .map_err(|place| text::wrong(text, raw[place].get_ref().name.span(), order::CYCLE))?;
        Ok(Self { services, order })
    }
}
