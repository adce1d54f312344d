//! What the programs of the demo agree on, and the services and their clients.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod backoff;
pub mod capitals;
pub mod console;
pub mod log;
pub mod manifest;
pub mod names;
pub mod number;
pub mod processes;
pub mod protocol;
pub mod shell;
pub mod waiting;

use orbital_user::{Endpoint, Error, start::take_named};

/// The endpoint that this service serves.
///
/// # Errors
/// [`Error::EmptySlot`] where the manifest does not say that it serves one.
pub fn own_service() -> Result<Endpoint, Error> {
    let capability = take_named(manifest::service::SERVICE).ok_or(Error::EmptySlot)?;
    Ok(Endpoint::from_slot(capability.into_slot()))
}

/// The arithmetic service of the demo's server.
pub mod service {
    /// Two words; the answer is their sum, their product, and the badge of whoever asked.
    pub const CALCULATE: u32 = 1;
    /// No words: the server ends. The answer is how many it has answered.
    pub const STOP: u32 = 2;
    /// The label of an answer.
    pub const ANSWER: u32 = 3;
    /// The label of an answer to a question that the server does not know.
    pub const REFUSED: u32 = 4;

    /// How many calls a client makes.
    pub const CALLS: u64 = 1000;
}
