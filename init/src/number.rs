//! By which numbers processes are named to clients: the kernel's.
#![forbid(unsafe_code)]

use orbital_user::{Process, capability::inspect};

/// The number of a process that is open.
pub fn number(process: &Process) -> u64 {
    inspect(process.slot()).map_or(0, |seen| seen.identity)
}
