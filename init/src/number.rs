//! By which numbers processes are named to clients.
#![forbid(unsafe_code)]

use orbital_user::Process;

/// The number of a process.
pub fn number(process: &Process) -> u64 {
    process.slot().bits()
}
