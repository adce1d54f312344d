//! What the programs `serves` and `asks` agree on, two to be tried in the shell: values for [`rpc`](orbital_user::rpc).
#![forbid(unsafe_code)]

use alloc::string::String;

use serde::{Deserialize, Serialize};

/// What `serves` is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The same text in capital letters.
    Capitals(String),
}

/// What it answers: the text.
pub type Answer = String;
