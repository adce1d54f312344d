//! What must be on the host before anything can be built or run.
#![forbid(unsafe_code)]

pub mod apt;
pub mod packages;
pub mod paths;
pub mod toolchain;

use crate::Failure;

/// Refuses hosts that the set-up does not know.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) on anything but x86_64 Linux.
pub fn check_host() -> Result<(), Failure> {
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Ok(());
    }
    Err(Failure::usage("Orbital is built and run on x86_64 Linux hosts"))
}
