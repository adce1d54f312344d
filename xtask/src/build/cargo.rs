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

/// How optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// With debug assertions.
    Debug,
    /// As fast as can be.
    Release,
}

impl Profile {
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
    /// The programs of these packages.
    Programs(&'a [&'a str]),
    /// The kernel with its tests inside.
    KernelTests,
}

/// Programs by name.
pub type Programs = BTreeMap<String, PathBuf>;

/// A command of the kernel's toolchain, in an environment without the calling cargo's traces.
pub fn command(toolchain: &Toolchain, program: &str) -> Command {
    let mut command = Command::new(toolchain.program(program));
    command.current_dir(paths::project());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_none_or(|name| !is_kept(name)) {
            command.env_remove(name);
        }
    }
    command
        .env("CARGO", toolchain.program("cargo"))
        .env("RUSTC", toolchain.program("rustc"))
        .env("RUSTDOC", toolchain.program("rustdoc"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", "")
        .env("CARGO_TARGET_DIR", paths::output());
    command
}

/// Whether a variable stays: none that steers rustc or cargo does, but for where registries are.
fn is_kept(name: &str) -> bool {
    const KEPT: [&str; 4] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_TERM_"];
    if ["RUSTUP_HOME", "CARGO_HOME"].contains(&name) || KEPT.iter().any(|p| name.starts_with(p)) {
        return true;
    }
    !(name.starts_with("RUST") || name.starts_with("CARGO") || name == "LD_LIBRARY_PATH")
}

/// Options that build `core` and `alloc` for the target.
pub const TARGET_OPTIONS: [&str; 5] = [
    "-Zbuild-std=core,alloc,compiler_builtins",
    "-Zbuild-std-features=compiler-builtins-mem",
    "-Zjson-target-spec",
    "--target=x86_64-orbital.json",
    "--locked",
];

/// Builds `goal`; gives its programs.
///
/// # Errors
/// [`Status::BuildFailed`] after the compiler's own messages.
pub fn build(toolchain: &Toolchain, goal: Goal<'_>, profile: Profile) -> Result<Programs, Failure> {
    let mut cargo = command(toolchain, "cargo");
    let what = match goal {
        Goal::Programs(packages) => {
            cargo.arg("build").arg("--bins");
            cargo.args(packages.iter().map(|package| format!("--package={package}")));
            packages.join(" and ")
        }
        Goal::KernelTests => {
            cargo.args(["test", "--no-run", "--bin=kernel"]).arg(format!("--package={KERNEL}"));
            "the kernel with its tests".to_owned()
        }
    };
    cargo.args(TARGET_OPTIONS).arg(format!("--profile={}", profile.name()));
    cargo.arg("--message-format=json-render-diagnostics");
    run(cargo, &format!("building {what}"))
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

#[cfg(test)]
mod tests {
    use super::is_kept;

    #[test]
    fn the_calling_cargo_leaves_no_trace() {
        for name in ["RUSTC", "RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO", "LD_LIBRARY_PATH"] {
            assert!(!is_kept(name), "{name}");
        }
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "CARGO_REGISTRIES_X_INDEX"] {
            assert!(is_kept(name), "{name}");
        }
    }
}
