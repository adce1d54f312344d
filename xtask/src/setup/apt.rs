//! Installs Debian's packages: as root at once, with sudo after one question on a terminal; else one
//! line says what to type.
#![forbid(unsafe_code)]

use std::{
    io::{IsTerminal, Write, stderr, stdin},
    process::{Command, Output},
};

use super::paths;
use crate::{Failure, progress::Step};

/// Installs `packages`, which bring `what`, if `accept` agrees once the lists are fresh.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) without apt, without the right to use it, or when it
/// fails; what `accept` fails with.
pub fn install(
    what: &str,
    packages: &[&str],
    accept: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if paths::program("apt-get").is_none() {
        return Err(Failure::usage(format!(
            "{what}: not found, and there is no apt-get to install it (Debian's packages: {})",
            packages.join(" ")
        )));
    }
    let apt = Apt { sudo: how_to_become_root(what, packages)? };
    let _step = Step::begin(format!("installing {}", packages.join(" ")));
    // Fresh images have no lists.
    checked(what, packages, apt.run(&["update"])?)?;
    accept()?;
    let output = apt.install(packages, &[])?;
    let output = if output.status.success() {
        output
    } else {
        retry_with_older_qemu_tools(&apt, packages, output)?
    };
    checked(what, packages, output)
}

/// The version of `package` that apt would install, after an update.
pub fn candidate(package: &str) -> Option<String> {
    let output = Command::new("apt-cache").args(["policy", package]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// Whether sudo is to be used.
fn how_to_become_root(what: &str, packages: &[&str]) -> Result<bool, Failure> {
    if nix::unistd::geteuid().is_root() {
        return Ok(false);
    }
    let packages = packages.join(" ");
    let command =
        format!("sudo apt-get update && sudo apt-get install --no-install-recommends {packages}");
    if paths::program("sudo").is_some() && stdin().is_terminal() && stderr().is_terminal() {
        eprint!("xtask: {what} is missing; run \"{command}\"? [Y/n] ");
        let mut answer = String::new();
        let read = stderr().flush().and_then(|()| stdin().read_line(&mut answer));
        let yes = ["", "y", "yes"].contains(&answer.trim().to_lowercase().as_str());
        if read.is_ok_and(|bytes| bytes > 0) && yes {
            return Ok(true);
        }
    }
    Err(Failure::usage(format!("{what} is missing; type: {command}")))
}

struct Apt {
    sudo: bool,
}

impl Apt {
    fn run(&self, arguments: &[&str]) -> Result<Output, Failure> {
        let mut command = if self.sudo { Command::new("sudo") } else { Command::new("env") };
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]).args(arguments);
        // Messages are read below, so they must be in one language.
        command.env("LC_ALL", "C").output().map_err(Failure::of("apt-get"))
    }

    fn install(&self, packages: &[&str], more: &[&str]) -> Result<Output, Failure> {
        let always = ["install", "-y", "--no-install-recommends", "--no-remove"];
        self.run(&[&always[..], more, packages].concat())
    }
}

/// An image can come with QEMU's tools newer than the distribution's QEMU, which conflict with it.
/// Both are wanted: the tools at QEMU's version (docs/decisions/0001).
fn retry_with_older_qemu_tools(
    apt: &Apt,
    packages: &[&str],
    refused: Output,
) -> Result<Output, Failure> {
    const QEMU: &str = "qemu-system-x86";
    let text = String::from_utf8_lossy(&refused.stdout).into_owned()
        + &String::from_utf8_lossy(&refused.stderr);
    let version = candidate(QEMU).filter(|_| packages.contains(&QEMU));
    match version {
        Some(version) if text.contains("qemu-utils") => {
            eprintln!("xtask: qemu-utils goes to version {version}, the one of {QEMU}");
            let tools = format!("qemu-utils={version}");
            apt.install(&[packages, &[tools.as_str()]].concat(), &["--allow-downgrades"])
        }
        _ => Ok(refused),
    }
}

fn checked(what: &str, packages: &[&str], output: Output) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let reason = text.lines().find(|line| line.starts_with("E: ")).unwrap_or("E: no reason given");
    Err(Failure::usage(format!(
        "{what}: apt-get could not install {}: {}",
        packages.join(" "),
        &reason[3..]
    )))
}
