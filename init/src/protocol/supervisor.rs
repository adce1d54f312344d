//! The services themselves, as init sees them.
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Right;

/// May list services and be told when one is started anew.
pub const LIST: Right = ("list", 1);
/// May end services (which are started anew as the manifest says), and the system.
pub const CONTROL: Right = ("control", 2);
/// All rights.
pub const RIGHTS: &[Right] = &[LIST, CONTROL];

/// What a client asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// All services.
    List,
    /// Signal the notification that comes with this, a capability with `SEND`, whenever this service was started anew.
    Watch(String),
    /// End this service's process.
    Kill(String),
    /// Power off, with success where the code is 0.
    Shutdown(u64),
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// The number of its process, while it runs.
    pub process: Option<u64>,
    /// How often it was started anew.
    pub restarts: u64,
    /// How its process ended last, if one has: an [`ExitReason`](orbital_user::ExitReason) as
    /// [`encode`](orbital_user::ExitReason::encode) gives it.
    pub ended: Option<[u64; 4]>,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// All services, in the order of the manifest.
    Services(Vec<Service>),
    /// No such service, or it does not run; or no notification came.
    Unknown,
    /// The badge lacks the right.
    NotAllowed,
}
