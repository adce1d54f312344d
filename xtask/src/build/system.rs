//! All that a machine loads: the kernel, the archive of programs, and the command line.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use super::{
    archive::archive,
    cargo::{self, Goal, Profile},
    loadable::loadable,
    symbols,
};
use crate::{
    Failure, Status,
    cli::SystemOptions,
    setup::{self, paths, toolchain::Toolchain},
};

/// Init's name in the archive.
pub const INIT: &str = "init";
const KERNEL: &str = "kernel";
/// The manifest's name in the archive: which services init starts. A module of this name replaces the project's.
pub const MANIFEST: &str = "manifest.toml";

/// What a machine loads.
#[derive(Clone, Debug)]
pub struct System {
    /// The kernel's file.
    pub kernel: PathBuf,
    /// The archive of programs.
    pub archive: Vec<u8>,
    /// The command line.
    pub command_line: String,
}

/// What the user brings along, read and checked before anything long begins.
#[derive(Clone, Debug)]
pub struct Inputs {
    init: Option<Vec<u8>>,
    modules: Vec<(String, Vec<u8>)>,
    command_line: String,
    profile: Profile,
}

impl Inputs {
    /// Reads what `options` name.
    ///
    /// # Errors
    /// [`Status::Usage`] for files that can't be read, names that are used twice, and a command line
    /// that can't be passed on.
    pub fn read(options: &SystemOptions) -> Result<Self, Failure> {
        check_command_line(&options.append)?;
        let modules = options
            .modules
            .iter()
            .map(|module| Ok((module.name.clone(), read(&module.file)?)))
            .collect::<Result<Vec<_>, Failure>>()?;
        // Finds names that are used twice.
        archive(&modules)?;
        Ok(Self {
            init: options.init.as_deref().map(read).transpose()?,
            modules,
            command_line: options.append.clone(),
            profile: if options.is_release() { Profile::Release } else { Profile::Debug },
        })
    }

    /// Builds the rest.
    ///
    /// # Errors
    /// [`Status::BuildFailed`]; [`Status::Usage`] for a module that is named as a program of init's.
    pub fn build(self) -> Result<System, Failure> {
        setup::check_host()?;
        let toolchain = Toolchain::ensure()?;
        let packages = [cargo::KERNEL, cargo::INIT];
        let mut programs = cargo::build(&toolchain, Goal::Programs(&packages), self.profile)?;
        let kernel = take(&mut programs, KERNEL)?;
        let init = loadable(INIT, read(&take(&mut programs, INIT)?)?)?;

        let mut files = vec![(INIT.to_owned(), self.init.unwrap_or(init))];
        for (name, file) in &programs {
            files.push((name.clone(), loadable(name, read(file)?)?));
        }
        if !self.modules.iter().any(|(name, _)| name == MANIFEST) {
            let manifest = paths::project().join("init").join(MANIFEST);
            files.push((MANIFEST.to_owned(), read(&manifest)?));
        }
        files.extend(self.modules);
        System::assemble(kernel, files, &self.command_line)
    }
}

impl System {
    /// The system of this kernel and these files.
    ///
    /// # Errors
    /// [`Status::Usage`] for a file that can't be read and names that are used twice;
    /// [`Status::BuildFailed`] for a kernel that is no ELF file.
    pub fn assemble(
        kernel: PathBuf,
        mut files: Vec<(String, Vec<u8>)>,
        command_line: &str,
    ) -> Result<Self, Failure> {
        check_command_line(command_line)?;
        let table = symbols::table(&read(&kernel)?)?;
        files.push((symbols::FILE.to_owned(), table.into_bytes()));
        Ok(Self { kernel, archive: archive(&files)?, command_line: command_line.to_owned() })
    }
}

/// Reads a file.
///
/// # Errors
/// [`Status::Usage`] with the file's name.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file).map_err(Failure::of(file.display()))
}

/// Takes the program `name` out of what was built.
///
/// # Errors
/// [`Status::BuildFailed`] when it is not there.
pub fn take(programs: &mut cargo::Programs, name: &str) -> Result<PathBuf, Failure> {
    let missing = || Failure::new(Status::BuildFailed, format!("the build made no {name}"));
    programs.remove(name).ok_or_else(missing)
}

/// GRUB, QEMU and the kernel read the command line, each with quotes of its own kind: what one of
/// them could read otherwise is refused.
fn check_command_line(text: &str) -> Result<(), Failure> {
    let wrong = |c: char| c.is_control() || ['\'', '\\'].contains(&c);
    if text.contains(wrong) || !text.matches('"').count().is_multiple_of(2) {
        return Err(Failure::usage(format!(
            "--append {text:?}: quotes come in pairs, and neither ' nor \\ nor line ends can be passed on"
        )));
    }
    Ok(())
}
