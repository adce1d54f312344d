//! The console: text on the serial line and on the screen, what is typed at either.
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Right;

/// May read what is typed.
pub const READ: Right = ("read", 1);
/// All rights.
pub const RIGHTS: &[Right] = &[READ];

/// What a client asks. The first case is that of [`Output`](orbital_user::output::Output), so the console can be the output
/// of programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Show this text: UTF-8, `\n` ends a line, and the control sequences of a VT100 that move the cursor and erase. What
    /// one call writes is not mixed with what others write.
    Write(String),
    /// What was typed: answered once there is something. One client reads at a time; the one before gets
    /// [`Answer::Nothing`].
    Read,
    /// How large the screen is.
    Size,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// What was typed, as a VT100 sends it, keys of the keyboard too.
    Typed(Vec<u8>),
    /// Someone else reads now.
    Nothing,
    /// Columns and rows.
    Size(u16, u16),
    /// The badge lacks the right.
    NotAllowed,
}
