//! `cargo xtask soak`: the tests with their full counts, again and again.
#![forbid(unsafe_code)]

use std::process::Command;

use crate::{Failure, Status, cli::SoakOptions, setup::paths};

/// Tells the tests to run their full counts.
pub const FULL: &str = "ORBITAL_SOAK";
/// Tells the guest tests how many CPUs to boot with.
pub const SMP: &str = "ORBITAL_SMP";
/// Tells the guest tests which machine to boot.
pub const MACHINE: &str = "ORBITAL_MACHINE";
/// Tells the guest tests that draw what to start from.
pub const SEED: &str = "ORBITAL_SEED";

/// Runs the tests as often as `options` say; stops at the first failure.
///
/// # Errors
/// [`Status::Usage`] when cargo can't be started.
pub fn soak(options: &SoakOptions) -> Result<Status, Failure> {
    for round in 1..=options.repeat {
        eprintln!("xtask: round {round} of {}", options.repeat);
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(paths::project()).args(["test", "--quiet", "--workspace"]);
        cargo.env(FULL, "1");
        if let Some(smp) = options.smp {
            cargo.env(SMP, smp.to_string());
        }
        if let Some(machine) = options.machine {
            cargo.env(MACHINE, machine.to_string());
        }
        if let Some(seed) = options.seed {
            cargo.env(SEED, seed.to_string());
        }
        if let Some(name) = &options.name {
            cargo.arg("--").arg(name);
        }
        let status = cargo.status().map_err(Failure::of("cargo"))?;
        if !status.success() {
            return Err(Failure::new(Status::BuildFailed, format!("round {round} failed")));
        }
    }
    Ok(Status::Success)
}
