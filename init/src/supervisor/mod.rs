//! Init as the supervisor of services: starts what the manifest names, each with what it names and nothing else, starts anew
//! what ends, and ends the system when the session does.
//!
//! | module | what |
//! |---|---|
//! | `state` | what there is |
//! | `start` | a service's start, and what it is handed over |
//! | `life` | from there to its end, and again |
//! | `questions` | what init is asked |
//!
//! One thread does all of it, as tasks: one for each service, one for questions. What they share is never borrowed while one
//! of them waits.
#![forbid(unsafe_code)]

mod life;
mod questions;
mod start;
mod state;

use alloc::{
    rc::Rc,
    string::{String, ToString},
};

use orbital_init::manifest::{FILE, Manifest};
use orbital_user::{
    program::Archive,
    task::{self, workers},
};

use state::State;

/// Runs the services until the system is to end; gives its code.
///
/// # Errors
/// Why they can't be started, in a line.
pub fn run(exec: Option<&str>) -> Result<u64, String> {
    let archive = Archive::open().map_err(|error| error.to_string())?;
    let file = archive.find(FILE).ok_or("there is no manifest.toml in the archive")?;
    let manifest = Manifest::parse(file, |program| archive.find(program).is_some());
    let manifest = manifest.map_err(|wrong| wrong.to_string())?;
    // No service can keep init from seeing how others end.
    workers::set_priority(u8::MAX);
    let state = State::new(manifest, archive, exec.map(Into::into));
    let state = Rc::new(state.map_err(|error| error.to_string())?);
    task::spawn(questions::serve(Rc::clone(&state)));
    for place in state.manifest.order.clone() {
        // Tasks begin in the order in which they are spawned.
        task::spawn(life::live(Rc::clone(&state), place));
    }
    Ok(task::block_on(state.ended()))
}
