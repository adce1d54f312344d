//! Endpoints by name.
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Right;

/// By which name a program finds its capability to the service.
pub const NAME: &str = "names";

/// May register names.
pub const REGISTER: Right = ("register", 1);
/// May look names up, and wait for them.
pub const LOOK_UP: Right = ("look-up", 2);
/// All rights.
pub const RIGHTS: &[Right] = &[REGISTER, LOOK_UP];

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Let others find the capability that comes with this by this name: an endpoint's, with `SEND` and `GRANT`, which is all
    /// that is kept of it. Its client alone can take the name back, or give it to another endpoint, until nobody can receive
    /// there any more: then it is nobody's.
    Register(String),
    /// Let nobody find this name any more.
    Remove(String),
    /// The capability of this name, now.
    LookUp(String),
    /// The same once there is one.
    Wait(String),
    /// All names.
    List,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// The capability comes with this.
    Found,
    /// All names, in order.
    Names(Vec<String>),
    /// Nobody has registered the name.
    Unknown,
    /// Another client has it.
    Taken,
    /// No capability came with it, or one that can't be passed on; or the name is empty or longer than 64 bytes.
    Invalid,
    /// The badge lacks the right.
    NotAllowed,
    /// There is no room: for more names of this client, for more who wait, or for a capability in the service's quota.
    Full,
}
