//! The nested cargo build: packages for the target, by the kernel's toolchain, in a target
//! directory of their own.
#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Stdio},
};

use cargo_metadata::Message;

use super::{command::command, package::Package, target::Target};
use crate::{
    Failure, Status,
    progress::Step,
    setup::{paths, toolchain::Toolchain},
};

/// The kernel's package and its program.
pub const KERNEL: &str = "orbital-kernel";
/// The package of init and the programs that it starts.
pub const INIT: &str = "orbital-init";
/// The package of the programs that measure the system.
pub const BENCH: &str = "orbital-bench";
/// The package of the programs that test the system.
pub const GUESTS: &str = "orbital-guests";
/// The package of those among them that have floating-point registers.
pub const FLOATS: &str = "orbital-floats";
/// Its folder.
pub const FLOATS_FOLDER: &str = "tests/floats";

/// How optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// With debug assertions.
    Debug,
    /// As fast as can be.
    Release,
}

impl Profile {
    /// The optimised one, if that is wanted: by an option, or by `cargo run --release`.
    pub fn of(release: bool) -> Self {
        if release || !cfg!(debug_assertions) { Self::Release } else { Self::Debug }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Debug => "dev",
            Self::Release => "kernel",
        }
    }
}

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal<'a> {
    /// The programs of these packages of the project.
    Programs(&'a [&'a str]),
    /// The programs of this package, which may be anyone's.
    Package(&'a Package),
    /// The kernel with its tests inside.
    KernelTests,
}

/// Programs by name.
pub type Programs = BTreeMap<String, PathBuf>;

/// Builds `goal`; gives its programs.
///
/// # Errors
/// [`Status::BuildFailed`] after the compiler's own messages; [`Status::Usage`] when a package can't be
/// given its list of versions.
pub fn build(toolchain: &Toolchain, goal: Goal<'_>, profile: Profile) -> Result<Programs, Failure> {
    let mut cargo = command(toolchain, "cargo");
    let what = match goal {
        Goal::Programs(packages) => {
            cargo.arg("build").arg("--bins");
            cargo.args(packages.iter().map(|package| format!("--package={package}")));
            cargo.arg("--locked").args(Target::Soft.options());
            packages.join(" and ")
        }
        Goal::Package(package) => {
            cargo.args(["build", "--bins"]);
            prepare(&mut cargo, package, profile)?;
            package.name.clone()
        }
        Goal::KernelTests => {
            cargo.args(["test", "--no-run", "--bin=kernel"]).arg(format!("--package={KERNEL}"));
            cargo.arg("--locked").args(Target::Soft.options());
            "the kernel with its tests".to_owned()
        }
    };
    cargo.arg(format!("--profile={}", profile.name()));
    cargo.arg("--message-format=json-render-diagnostics");
    run(cargo, &format!("building {what}"))
}

/// Steers the build of `package`. Its programs go to a folder of their own, for another package may use
/// the same names; all else is shared. It has the project's profiles, so that libraries are the same.
fn prepare(cargo: &mut Command, package: &Package, profile: Profile) -> Result<(), Failure> {
    package.lock()?;
    if package.is_ours() {
        cargo.arg("--locked");
    } else {
        cargo.args(package.apart(profile.name()));
    }
    cargo
        .current_dir(&package.folder)
        .env("CARGO_BUILD_BUILD_DIR", paths::output())
        .env("CARGO_TARGET_DIR", paths::output().join("programs").join(&package.name))
        .arg("--config")
        .arg(paths::project().join("Cargo.toml"))
        .args(package.target.options());
    Ok(())
}

fn run(mut cargo: Command, what: &str) -> Result<Programs, Failure> {
    let step = Step::begin(what);
    let failed = |why: String| Failure::new(Status::BuildFailed, why);
    let mut child = cargo
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Failure::of(cargo.get_program().display()))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let programs = std::thread::spawn(move || stdout.map(programs).unwrap_or_default());
    let mut said = String::new();
    for line in stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()) {
        let line = line.unwrap_or_default();
        step.detail(&line);
        said.push_str(&line);
        said.push('\n');
    }
    let status = child.wait().map_err(Failure::of("cargo"))?;
    drop(step);
    if !status.success() {
        eprint!("{said}");
        return Err(failed(format!("{what}: it does not compile")));
    }
    programs.join().map_err(|_| failed(format!("{what}: unreadable answer of cargo's")))
}

fn programs(messages: impl Read) -> Programs {
    Message::parse_stream(BufReader::new(messages))
        .filter_map(|message| match message.ok()? {
            Message::CompilerArtifact(artifact) => {
                Some((artifact.target.name, artifact.executable?.into_std_path_buf()))
            }
            _ => None,
        })
        .collect()
}
