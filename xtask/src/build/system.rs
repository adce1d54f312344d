//! All that a machine loads: the kernel, the archive of programs, and the command line.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use super::{
    archive::archive,
    cargo::{self, Goal, Profile},
    symbols,
};
use crate::{
    Failure, Status,
    cli::SystemOptions,
    setup::{self, toolchain::Toolchain},
};

/// Init's name in the archive.
pub const INIT: &str = "init";
const KERNEL: &str = "kernel";

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

impl System {
    /// Builds what `options` name.
    ///
    /// # Errors
    /// [`Status::Usage`] for files that can't be read and a command line that can't be passed on;
    /// [`Status::BuildFailed`].
    pub fn build(options: &SystemOptions) -> Result<Self, Failure> {
        // What the user got wrong is said before anything long begins.
        check_command_line(&options.append)?;
        let own_init = options.init.as_deref().map(read).transpose()?;
        let modules = options
            .modules
            .iter()
            .map(|module| Ok((module.name.clone(), read(&module.file)?)))
            .collect::<Result<Vec<_>, Failure>>()?;

        setup::check_host()?;
        let toolchain = Toolchain::ensure()?;
        let profile = if options.is_release() { Profile::Release } else { Profile::Debug };
        let packages = [cargo::KERNEL, cargo::INIT];
        let mut programs = cargo::build(&toolchain, Goal::Programs(&packages), profile)?;
        let kernel = take(&mut programs, KERNEL)?;
        let init = read(&take(&mut programs, INIT)?)?;

        let mut files = vec![(INIT.to_owned(), own_init.unwrap_or(init))];
        for (name, file) in &programs {
            files.push((name.clone(), read(file)?));
        }
        files.extend(modules);
        Self::assemble(kernel, files, &options.append)
    }

    /// The system of this kernel and these files.
    ///
    /// # Errors
    /// As [`System::build`].
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
    if text.contains(wrong) || text.matches('"').count() % 2 != 0 {
        return Err(Failure::usage(format!(
            "--append {text:?}: quotes come in pairs, and neither ' nor \\ nor line ends can be passed on"
        )));
    }
    Ok(())
}
