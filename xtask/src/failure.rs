//! Why a command failed, and the exit status that says so.
#![forbid(unsafe_code)]

use std::fmt;

/// The exit statuses that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Init's verdict was success.
    Success = 0,
    /// Init or a module could not be loaded, or init ended otherwise.
    InitFailed = 1,
    /// Wrong usage, a missing file or tool, or a machine that could not start.
    Usage = 2,
    /// The kernel panicked, or the machine ended without a verdict.
    Crashed = 3,
    /// The time was up.
    TimedOut = 4,
    /// Something did not compile, or a test failed.
    BuildFailed = 101,
    /// The user ended the machine.
    Interrupted = 130,
}

/// A failure of the host side: one line for the user, and the exit status.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub status: Status,
    message: String,
}

impl Failure {
    /// The failure with this status and line.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// One with [`Status::Usage`].
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, message)
    }

    /// For `map_err`: the failure of doing `what`, with [`Status::Usage`].
    pub fn of<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self::usage(format!("{what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
