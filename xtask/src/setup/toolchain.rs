//! The toolchain for the target: one that has std's sources, to build `core` and `alloc` from.
#![forbid(unsafe_code)]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{apt, paths};
use crate::Failure;

/// The first release whose features the kernel uses.
const OLDEST: (u32, u32) = (1, 96);
/// Debian's packages of it.
pub const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];
/// Those that `tidy` wants too.
pub const DEBIAN_TIDY: &[&str] = &["rust-web-clippy", "rustfmt-web"];
/// What to say where Debian's packages are too old or would push out others.
const RUSTUP_HINT: &str = "rustup component add rust-src clippy rustfmt";

/// A toolchain: a prefix with `bin/cargo` and `bin/rustc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    prefix: PathBuf,
}

impl Toolchain {
    /// One of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.prefix.join("bin").join(name)
    }

    /// Finds one, or installs Debian's.
    ///
    /// # Errors
    /// [`Status::Usage`](crate::Status::Usage) when there is none and none can be installed.
    pub fn ensure() -> Result<Self, Failure> {
        if let Some(found) = Self::find()? {
            return Ok(found);
        }
        install(DEBIAN)?;
        Self::find()?.ok_or_else(|| Failure::usage(no_toolchain("Debian's has no std sources")))
    }

    /// The same, with clippy and rustfmt.
    ///
    /// # Errors
    /// As [`Toolchain::ensure`].
    pub fn ensure_for_tidy() -> Result<Self, Failure> {
        let toolchain = Self::ensure()?;
        let is_whole = |toolchain: &Self| {
            ["cargo-clippy", "rustfmt", "cargo-fmt", "rustdoc"]
                .iter()
                .all(|name| paths::is_executable(&toolchain.program(name)))
        };
        if !is_whole(&toolchain) {
            if toolchain.prefix == Path::new("/usr") {
                install(DEBIAN_TIDY)?;
            }
            if !is_whole(&toolchain) {
                return Err(Failure::usage(no_toolchain("it has no clippy or rustfmt")));
            }
        }
        Ok(toolchain)
    }

    fn find() -> Result<Option<Self>, Failure> {
        if let Some(prefix) = std::env::var_os("ORBITAL_TOOLCHAIN") {
            let toolchain = Self { prefix: prefix.into() };
            return match toolchain.fault() {
                None => Ok(Some(toolchain)),
                Some(fault) => Err(Failure::usage(format!(
                    "ORBITAL_TOOLCHAIN={}: {fault}",
                    toolchain.prefix.display()
                ))),
            };
        }
        let prefixes = std::iter::once(PathBuf::from("/usr")).chain(rustup_toolchains());
        Ok(prefixes.map(|prefix| Self { prefix }).find(|toolchain| toolchain.fault().is_none()))
    }

    /// Why it can't be used, if it can't.
    fn fault(&self) -> Option<String> {
        let is_there = |name: &&str| paths::is_executable(&self.program(name));
        if let Some(missing) = ["cargo", "rustc"].iter().find(|name| !is_there(name)) {
            return Some(format!("there is no bin/{missing}"));
        }
        let output = Command::new(self.program("rustc")).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if version(text.split_whitespace().nth(1).unwrap_or("")) < Some(OLDEST) {
            return Some(format!("{} is too old", text.trim()));
        }
        let core = self.prefix.join("lib/rustlib/src/rust/library/core/Cargo.toml");
        (!core.exists()).then(|| "std's sources (rust-src) are missing".to_owned())
    }
}

fn rustup_toolchains() -> Vec<PathBuf> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let rustup = home("RUSTUP_HOME").or_else(|| Some(home("HOME")?.join(".rustup")));
    let entries = rustup.and_then(|rustup| rustup.join("toolchains").read_dir().ok());
    let mut found: Vec<_> = entries.into_iter().flatten().flatten().map(|e| e.path()).collect();
    found.sort();
    found
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(['.', '+', '-', '~']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn no_toolchain(why: &str) -> String {
    format!("no toolchain for the kernel ({why}); with rustup, type: {RUSTUP_HINT}")
}

fn install(packages: &[&str]) -> Result<(), Failure> {
    let conflicts = ["cargo", "rustc", "rustup"].iter().find(|name| is_installed(name));
    if let Some(name) = conflicts {
        let why = format!("Debian's would push out the package {name}");
        return Err(Failure::usage(no_toolchain(&why)));
    }
    apt::install("the kernel's toolchain", packages, || match apt::candidate(packages[0]) {
        Some(candidate) if version(&candidate) >= Some(OLDEST) => Ok(()),
        Some(candidate) => Err(Failure::usage(format!("Debian's is {candidate}"))),
        None => Err(Failure::usage("Debian's is not to be had")),
    })
    .map_err(|failure| Failure::usage(no_toolchain(&failure.to_string())))
}

fn is_installed(package: &str) -> bool {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Status}", package]).output();
    output.is_ok_and(|output| output.stdout.ends_with(b"ok installed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(version("1.96.0"), Some((1, 96)));
        assert_eq!(version("1.100.0-nightly"), Some((1, 100)));
        assert_eq!(version("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(version("what"), None);
        assert!(version("1.95.0") < Some(OLDEST));
        assert!(version("what") < Some(OLDEST));
    }
}
