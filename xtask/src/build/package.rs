//! A package of user programs, wherever its folder is: what cargo knows of it, and what its manifest
//! says to Orbital.
//!
//! ```toml
//! [package.metadata.orbital]
//! float = true    # its programs have floating-point and vector registers; else they have none
//! ```
#![forbid(unsafe_code)]

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use cargo_metadata::{Metadata, MetadataCommand};
use serde_json::Value;

use super::{command::command, target::Target};
use crate::{
    Failure,
    setup::{paths, toolchain::Toolchain},
};

const MANIFEST: &str = "Cargo.toml";
const LOCK: &str = "Cargo.lock";

/// A package that can be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What its programs are built for.
    pub target: Target,
    workspace: PathBuf,
    members: Vec<String>,
}

impl Package {
    /// Reads the manifest in `folder`.
    ///
    /// # Errors
    /// [`Status::Usage`](crate::Status::Usage) without a folder or a manifest, and for a manifest that
    /// cargo can't read, that has no programs, or that says to Orbital what it does not know.
    pub fn read(toolchain: &Toolchain, folder: &Path) -> Result<Self, Failure> {
        let failed = |why: &str| Failure::usage(format!("{}: {why}", folder.display()));
        let path = folder.canonicalize().map_err(Failure::of(folder.display()))?;
        let manifest = path.join(MANIFEST);
        if !manifest.is_file() {
            return Err(failed(&format!("there is no {MANIFEST}")));
        }
        let output = command(toolchain, "cargo")
            .current_dir(&path)
            .args(["metadata", "--no-deps", "--format-version=1", "--manifest-path"])
            .arg(&manifest)
            .output()
            .map_err(Failure::of("cargo"))?;
        if !output.status.success() {
            return Err(failed(&in_one_line(&String::from_utf8_lossy(&output.stderr))));
        }
        let metadata = MetadataCommand::parse(String::from_utf8_lossy(&output.stdout))
            .map_err(Failure::of(folder.display()))?;
        Self::find(&metadata, &manifest).map_err(|why| failed(&why))
    }

    fn find(metadata: &Metadata, manifest: &Path) -> Result<Self, String> {
        let is_wanted = |package: &&cargo_metadata::Package| package.manifest_path == manifest;
        let package = metadata
            .packages
            .iter()
            .find(is_wanted)
            .ok_or_else(|| format!("its {MANIFEST} is no package's"))?;
        if !package.targets.iter().any(cargo_metadata::Target::is_bin) {
            return Err(format!("package {} has no programs", package.name));
        }
        Ok(Self {
            name: package.name.to_string(),
            folder: manifest.parent().unwrap_or(manifest).to_owned(),
            target: target(&package.metadata)?,
            workspace: metadata.workspace_root.clone().into_std_path_buf(),
            members: metadata.packages.iter().map(|member| member.name.to_string()).collect(),
        })
    }

    /// Whether the project's own list of versions holds for it.
    pub fn is_ours(&self) -> bool {
        paths::project().canonicalize().is_ok_and(|project| self.workspace == project)
    }

    /// Options for cargo that tell this workspace's packages from those of the same names in another
    /// folder: by itself it takes the one's crates for the other's where both are built in one place.
    pub fn apart(&self, profile: &str) -> Vec<String> {
        let mut hasher = DefaultHasher::new();
        self.workspace.hash(&mut hasher);
        let flag = format!("-Cmetadata={:016x}", hasher.finish());
        let option =
            |member| format!("--config=profile.{profile}.package.{member}.rustflags=['{flag}']");
        let all = self.members.iter().map(option);
        std::iter::once("-Zprofile-rustflags".to_owned()).chain(all).collect()
    }

    /// Lets a package that has no list of versions begin with the project's: with those its programs
    /// were tested, and those were loaded before. Cargo strikes out what is not needed.
    ///
    /// # Errors
    /// [`Status::Usage`](crate::Status::Usage) when it can't be written.
    pub fn lock(&self) -> Result<(), Failure> {
        let own = self.workspace.join(LOCK);
        if own.exists() {
            return Ok(());
        }
        let copied = fs::copy(paths::project().join(LOCK), &own);
        copied.map(|_| ()).map_err(Failure::of(own.display()))
    }
}

/// What the table `orbital` of a package's metadata asks for.
fn target(metadata: &Value) -> Result<Target, String> {
    let table = match metadata.get("orbital") {
        None => return Ok(Target::Soft),
        Some(table) => table.as_object().ok_or("metadata.orbital is no table")?,
    };
    if let Some(key) = table.keys().find(|key| *key != "float") {
        return Err(format!("metadata.orbital has no key {key:?}"));
    }
    match table.get("float").map(Value::as_bool) {
        None | Some(Some(false)) => Ok(Target::Soft),
        Some(Some(true)) => Ok(Target::Float),
        Some(None) => Err("metadata.orbital.float is true or false".to_owned()),
    }
}

/// What failed, cargo's first line, and why, its last: without the lines that show the place in the file.
fn in_one_line(said: &str) -> String {
    let shows = |line: &&str| line.is_empty() || line.starts_with("-->") || line.contains('|');
    let mut lines = said.lines().map(str::trim).filter(|line| !shows(line));
    let first = lines.next().unwrap_or("no reason given");
    let first = first.strip_prefix("error: ").unwrap_or(first);
    lines.next_back().map_or_else(|| first.to_owned(), |last| format!("{first}: {last}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_package_says_what_it_is_built_for() {
        for (metadata, expected) in [
            (json!(null), Target::Soft),
            (json!({ "other": 1 }), Target::Soft),
            (json!({ "orbital": {} }), Target::Soft),
            (json!({ "orbital": { "float": false } }), Target::Soft),
            (json!({ "orbital": { "float": true } }), Target::Float),
        ] {
            assert_eq!(target(&metadata), Ok(expected), "{metadata}");
        }
    }

    #[test]
    fn what_orbital_does_not_know_is_refused() {
        for metadata in [
            json!({ "orbital": true }),
            json!({ "orbital": { "flaot": true } }),
            json!({ "orbital": { "float": "yes" } }),
        ] {
            assert!(target(&metadata).is_err(), "{metadata}");
        }
    }

    #[test]
    fn cargo_s_reason_is_one_line() {
        let said = "error: it failed\n\nCaused by:\n  this\n\nCaused by:\n  that\n";
        assert_eq!(in_one_line(said), "it failed: that");
        assert_eq!(
            in_one_line("error: alone\n --> Cargo.toml:1:9\n  |\n1 | [package\n  | ^\n"),
            "alone"
        );
    }
}
