//! `cargo xtask tidy`: what a reader should not have to look for. Everything is checked before the
//! command fails, so that one run shows all.
#![forbid(unsafe_code)]

mod files;
mod tools;

use crate::{Failure, Status, progress::Step, setup, setup::toolchain::Toolchain};

/// A check: gives what it found wrong, one entry each.
type Check<'a> = (&'static str, Box<dyn Fn() -> Result<Vec<String>, Failure> + 'a>);

/// Runs all checks.
///
/// # Errors
/// [`Status::BuildFailed`] when one found something; [`Status::Usage`] when one can't be run.
pub fn tidy() -> Result<Status, Failure> {
    setup::check_host()?;
    let toolchain = Toolchain::ensure_for_tidy()?;
    let checks: [Check<'_>; 7] = [
        ("file sizes", Box::new(files::too_long)),
        ("where unsafe stands", Box::new(files::stray_unsafe)),
        ("rustfmt", Box::new(|| tools::format(&toolchain))),
        ("clippy on the host", Box::new(|| tools::clippy_host(&toolchain))),
        ("clippy on the target", Box::new(|| tools::clippy_target(&toolchain))),
        ("rustdoc on the host", Box::new(|| tools::doc_host(&toolchain))),
        ("rustdoc on the target", Box::new(|| tools::doc_target(&toolchain))),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        let step = Step::begin(name);
        let found = check()?;
        drop(step);
        for line in &found {
            eprintln!("{line}");
        }
        if !found.is_empty() {
            failed.push(name);
        }
    }
    if failed.is_empty() {
        return Ok(Status::Success);
    }
    Err(Failure::new(Status::BuildFailed, format!("not tidy: {}", failed.join(", "))))
}
