//! Processes that do what they may not: each ends with its fault as the reason, and nobody else
//! notices.
#![forbid(unsafe_code)]

use alloc::{format, string::ToString};

use orbital_user::{ExitReason, FaultKind, println, program::Archive, spawn::Spawn};

use super::failure::{Failure, program};

/// The kernel's own code starts here, and everyone may know that: see `docs/memory-map.md`.
const KERNEL_ADDRESS: u64 = 0xffff_ffff_8010_0000;

/// Runs them to their ends.
pub fn check(archive: &Archive) -> Result<(), Failure> {
    let address = KERNEL_ADDRESS.to_string();
    fault(archive, "toucher", &address, FaultKind::PageRead, KERNEL_ADDRESS)?;
    println!("toucher: read kernel memory and ended with that fault");
    fault(archive, "divider", "", FaultKind::Divide, 0)?;
    println!("divider: divided by zero and ended with that fault");
    Ok(())
}

fn fault(
    archive: &Archive,
    name: &'static str,
    arguments: &str,
    kind: FaultKind,
    address: u64,
) -> Result<(), Failure> {
    let child = Spawn::new(name)
        .arguments(arguments)
        .start(program(archive, name)?)
        .map_err(Failure::of(name))?;
    match child.wait().map_err(Failure::of(name))? {
        ExitReason::Faulted(fault) if fault.kind == kind && fault.address == address => Ok(()),
        other => Err(Failure::new(format!("{name} {other}"))),
    }
}
