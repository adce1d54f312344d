//! The log: the system's latest lines.
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Right;

/// May read lines.
pub const READ: Right = ("read", 1);
/// All rights.
pub const RIGHTS: &[Right] = &[READ];

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The latest lines that are kept, oldest first, at most so many.
    Latest(u32),
    /// Lines from this position on, at most so many: answered once there is one.
    From(u64, u32),
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Its number; later ones have larger ones.
    pub position: u64,
    /// The line as it would stand on the serial port.
    pub text: String,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The lines.
    Lines(Vec<Line>),
    /// The badge lacks the right.
    NotAllowed,
}
