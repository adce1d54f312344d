//! The test programs, and the names of their cases: those stand in a section of the ELF files, so
//! nothing boots before a test is picked.

use std::path::PathBuf;

use goblin::elf::Elf;
use xtask::{
    Failure, Status,
    build::{
        cargo::{self, GUESTS, Goal, KERNEL, Profile},
        system::{read, take},
    },
    setup::{self, packages, toolchain::Toolchain},
};

use crate::guest;

/// Where the names stand, one a line.
const SECTION: &str = ".orbital.tests";
/// The suite whose cases fail on purpose: the harness's own tests boot it.
pub const FAULTY: &str = "faulty";

/// A program with test cases.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Its name.
    pub name: String,
    /// Its file.
    pub program: PathBuf,
    /// The names of its cases, sorted.
    pub cases: Vec<String>,
}

/// All that is booted in tests.
#[derive(Clone, Debug)]
pub struct Suites {
    /// The kernel as it is.
    pub kernel: PathBuf,
    /// The kernel with its tests inside.
    pub kernel_tests: Suite,
    /// The user programs that test it.
    pub guests: Vec<Suite>,
    /// The one that fails on purpose.
    pub faulty: Suite,
}

impl Suites {
    /// Builds kernels and programs, and reads the names.
    ///
    /// # Errors
    /// [`Status::BuildFailed`]; [`Status::Usage`] when tools are missing and can't be installed.
    pub fn build() -> Result<Self, Failure> {
        setup::check_host()?;
        packages::ensure(&packages::for_run(&guest::options()))?;
        let toolchain = Toolchain::ensure()?;
        let mut programs =
            cargo::build(&toolchain, Goal::Programs(&[KERNEL, GUESTS]), Profile::Debug)?;
        let kernel = take(&mut programs, "kernel")?;
        let mut tests = cargo::build(&toolchain, Goal::KernelTests, Profile::Debug)?;
        let kernel_tests = Suite::read("kernel".to_owned(), take(&mut tests, "kernel")?)?;
        let faulty = Suite::read(FAULTY.to_owned(), take(&mut programs, FAULTY)?)?;
        let guests = programs.into_iter().map(|(name, program)| Suite::read(name, program));
        Ok(Self { kernel, kernel_tests, guests: guests.collect::<Result<_, _>>()?, faulty })
    }
}

impl Suite {
    fn read(name: String, program: PathBuf) -> Result<Self, Failure> {
        let bytes = read(&program)?;
        let names = names(&bytes).ok_or_else(|| {
            let message = format!("{}: there is no section {SECTION}", program.display());
            Failure::new(Status::BuildFailed, message)
        })?;
        let mut cases: Vec<_> = names.lines().map(str::to_owned).collect();
        cases.sort();
        Ok(Self { name, program, cases })
    }
}

fn names(bytes: &[u8]) -> Option<String> {
    let elf = Elf::parse(bytes).ok()?;
    let is_wanted = |header: &&goblin::elf::SectionHeader| {
        elf.shdr_strtab.get_at(header.sh_name) == Some(SECTION)
    };
    let section = elf.section_headers.iter().find(is_wanted)?;
    let start = usize::try_from(section.sh_offset).ok()?;
    let end = start.checked_add(usize::try_from(section.sh_size).ok()?)?;
    String::from_utf8(bytes.get(start..end)?.to_vec()).ok()
}
