//! `cargo xtask build`: the programs of a package for Orbital.
#![forbid(unsafe_code)]

use crate::{
    Failure, Status,
    build::{
        cargo::{self, Goal, Profile},
        package::Package,
    },
    cli::BuildOptions,
    setup::{check_host, toolchain::Toolchain},
};

/// Builds the programs that `options` name, and says on stdout where they are, one a line.
///
/// # Errors
/// [`Status::Usage`] for what is no package of programs; [`Status::BuildFailed`].
pub fn build(options: &BuildOptions) -> Result<Status, Failure> {
    check_host()?;
    let toolchain = Toolchain::ensure()?;
    let package = Package::read(&toolchain, &options.path)?;
    let profile = Profile::of(options.release);
    for file in cargo::build(&toolchain, Goal::Package(&package), profile)?.values() {
        println!("{}", file.display());
    }
    Ok(Status::Success)
}
