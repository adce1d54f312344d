//! The demo: each step is one line of the log, and fails the whole if it is not as promised.
#![forbid(unsafe_code)]

mod failure;
mod faults;
mod preemption;
mod service;

pub use failure::Failure;

use orbital_user::program::Archive;

/// Runs all steps.
///
/// # Errors
/// The step that failed, and why.
pub fn run() -> Result<(), Failure> {
    let archive = Archive::open().map_err(Failure::of("opening the archive of programs"))?;
    let service = service::Service::start(&archive)?;
    service.serve_client(&archive, 7)?;
    preemption::check()?;
    service.refuse_outsider(&archive)?;
    faults::check(&archive)?;
    // All that went wrong above was the business of those it happened to.
    service.serve_client(&archive, 8)?;
    service.stop()
}
