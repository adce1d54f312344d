//! Ends of processes, for tasks: a thread of the pool waits for each.
#![forbid(unsafe_code)]

use core::mem::ManuallyDrop;

use orbital_abi::{Error, ExitReason};

use super::unblock;
use crate::process::Process;

/// Waits until `process` has ended and all it had is given back.
///
/// # Errors
/// As [`Process::wait`]; [`Error::StaleCapability`] where it is closed meanwhile.
pub async fn ended(process: &Process) -> Result<ExitReason, Error> {
    let slot = process.slot();
    // Someone else keeps it open.
    unblock(move || ManuallyDrop::new(Process::from_slot(slot)).wait()).await
}
