//! Why a step of the demo failed.
#![forbid(unsafe_code)]

use alloc::{format, string::String};
use core::fmt::{self, Display};

use orbital_user::{ExitReason, program::Archive, spawn::Child};

/// A step, and what was wrong with it.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// The failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// For `map_err`: the failure of doing `what`.
    pub fn of<E: Display>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self(format!("{what}: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "check failed: {}", self.0)
    }
}

/// The program `name` of the archive.
pub fn program(archive: &Archive, name: &'static str) -> Result<&'static [u8], Failure> {
    archive.find(name).ok_or_else(|| Failure::new(format!("there is no program {name:?}")))
}

/// Waits for the end of `child`, named `name`, and wants it to be `wanted`.
pub fn expect_exit(child: &Child, name: &'static str, wanted: ExitReason) -> Result<(), Failure> {
    let reason = child.wait().map_err(Failure::of(name))?;
    if reason == wanted {
        return Ok(());
    }
    Err(Failure::new(format!("{name} {reason}; it should be: {wanted}")))
}
