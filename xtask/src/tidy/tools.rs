//! The toolchain's own checks, with warnings denied.
#![forbid(unsafe_code)]

use std::process::Command;

use crate::{
    Failure,
    build::{
        cargo::{BENCH, FLOATS, GUESTS, INIT, KERNEL},
        command::command,
        target::Target,
    },
    setup::{paths, toolchain::Toolchain},
};

/// Whether every file has rustfmt's form.
pub fn format(toolchain: &Toolchain) -> Result<Vec<String>, Failure> {
    let mut fmt = command(toolchain, "cargo-fmt");
    fmt.args(["fmt", "--all", "--check"]).env("RUSTFMT", toolchain.program("rustfmt"));
    complaints(fmt)
}

/// Clippy over everything, as the host sees it.
pub fn clippy_host(toolchain: &Toolchain) -> Result<Vec<String>, Failure> {
    let mut clippy = host(toolchain, "cargo-clippy");
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked"]);
    complaints(deny(clippy))
}

/// Clippy over what runs on the machine.
pub fn clippy_target(toolchain: &Toolchain) -> Result<Vec<String>, Failure> {
    let clippy = |target: Target| {
        let mut clippy = command(toolchain, "cargo-clippy");
        clippy.args(["clippy", "--locked"]).args(packages(target)).args(target.options());
        complaints(deny(clippy))
    };
    Ok([clippy(Target::Soft)?, clippy(Target::Float)?].concat())
}

/// The documentation, as the host sees it.
pub fn doc_host(toolchain: &Toolchain) -> Result<Vec<String>, Failure> {
    let mut doc = host(toolchain, "cargo");
    doc.args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-Dwarnings");
    complaints(doc)
}

/// The documentation of what runs on the machine.
pub fn doc_target(toolchain: &Toolchain) -> Result<Vec<String>, Failure> {
    let mut doc = command(toolchain, "cargo");
    doc.args(["doc", "--no-deps", "--lib", "--locked"]);
    doc.args(packages(Target::Soft)).args(Target::Soft.options());
    doc.env("RUSTDOCFLAGS", "-Dwarnings");
    complaints(doc)
}

/// What is built for this target.
fn packages(target: Target) -> Vec<String> {
    let names: &[&str] = match target {
        Target::Soft => &[KERNEL, INIT, GUESTS, BENCH],
        Target::Float => &[FLOATS],
    };
    names.iter().map(|package| format!("--package={package}")).collect()
}

/// A command for the host, which must not mix with what the calling cargo builds.
fn host(toolchain: &Toolchain, program: &str) -> Command {
    let mut host = command(toolchain, program);
    host.env("CARGO_TARGET_DIR", paths::output().join("host"));
    host
}

fn deny(mut clippy: Command) -> Command {
    clippy.args(["--", "-Dwarnings"]);
    clippy
}

/// What the command says when it fails.
fn complaints(mut command: Command) -> Result<Vec<String>, Failure> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(Failure::of(&name))?;
    if output.status.success() {
        return Ok(Vec::new());
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(vec![String::from_utf8_lossy(&said).into_owned()])
}
