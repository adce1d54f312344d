//! The test programs, and their cases: their names and the machines that they want stand in a section
//! of the ELF files, so nothing boots before a test is picked.

use std::path::PathBuf;

use goblin::elf::Elf;
use xtask::{
    Failure, Status,
    build::{
        cargo::{self, FLOATS_FOLDER, GUESTS, Goal, KERNEL, Profile},
        package::Package,
        system::{read, take},
    },
    setup::{self, paths, toolchain::Toolchain},
};

use crate::{Guest, environment::Environment, wants::Wants};

/// Where the cases stand, one a line: the name, and behind it the words for its machine.
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
    /// Its cases, sorted by their names.
    pub cases: Vec<Case>,
}

/// A test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Which machines it wants.
    pub wants: Wants,
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
    /// Builds kernels and programs, and reads what cases there are.
    ///
    /// # Errors
    /// [`Status::BuildFailed`], for wrong words behind a case's name too; [`Status::Usage`] when tools
    /// are missing and can't be installed.
    pub fn build() -> Result<Self, Failure> {
        setup::check_host()?;
        let toolchain = Toolchain::ensure()?;
        let mut programs =
            cargo::build(&toolchain, Goal::Programs(&[KERNEL, GUESTS]), Profile::Debug)?;
        let floats = Package::read(&toolchain, &paths::project().join(FLOATS_FOLDER))?;
        programs.extend(cargo::build(&toolchain, Goal::Package(&floats), Profile::Debug)?);
        let kernel = take(&mut programs, "kernel")?;
        let mut tests = cargo::build(&toolchain, Goal::KernelTests, Profile::Debug)?;
        let kernel_tests = Suite::read("kernel".to_owned(), take(&mut tests, "kernel")?)?;
        let faulty = Suite::read(FAULTY.to_owned(), take(&mut programs, FAULTY)?)?;
        let guests = programs.into_iter().map(|(name, program)| Suite::read(name, program));
        Ok(Self { kernel, kernel_tests, guests: guests.collect::<Result<_, _>>()?, faulty })
    }

    /// All that is to be booted, but for what fails on purpose.
    pub fn plan(&self, environment: &Environment) -> Vec<Guest> {
        let tests = &self.kernel_tests;
        let inside = tests.cases.iter().flat_map(|case| Guest::kernel(tests, case, environment));
        let programs = self.guests.iter().flat_map(|suite| {
            let guests = |case| Guest::user(&self.kernel, suite, case, environment);
            suite.cases.iter().flat_map(guests)
        });
        inside.chain(programs).collect()
    }
}

impl Suite {
    fn read(name: String, program: PathBuf) -> Result<Self, Failure> {
        let bytes = read(&program)?;
        let wrong = |why| {
            let message = format!("{}: {why}", program.display());
            Failure::new(Status::BuildFailed, message)
        };
        let lines = lines(&bytes).ok_or_else(|| wrong(format!("there is no section {SECTION}")))?;
        let cases = cases(&lines).map_err(wrong)?;
        Ok(Self { name, program, cases })
    }
}

/// The cases that `lines` name.
fn cases(lines: &str) -> Result<Vec<Case>, String> {
    let case = |line: &str| {
        let (name, words) = line.split_once(' ').unwrap_or((line, ""));
        let wants = words.parse().map_err(|why| format!("case {name}: {why}"))?;
        Ok(Case { name: name.to_owned(), wants })
    };
    let mut cases = lines.lines().map(case).collect::<Result<Vec<_>, String>>()?;
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    // The guest knows a case by its name alone, and so do the report and the logs.
    match cases.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(format!("case {}: listed twice", pair[0].name)),
        None => Ok(cases),
    }
}

fn lines(bytes: &[u8]) -> Option<String> {
    let elf = Elf::parse(bytes).ok()?;
    let is_wanted = |header: &&goblin::elf::SectionHeader| {
        elf.shdr_strtab.get_at(header.sh_name) == Some(SECTION)
    };
    let section = elf.section_headers.iter().find(is_wanted)?;
    let start = usize::try_from(section.sh_offset).ok()?;
    let end = start.checked_add(usize::try_from(section.sh_size).ok()?)?;
    String::from_utf8(bytes.get(start..end)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_sorted_and_have_their_words() {
        let cases = cases("b\na cpus=2 icount\n").unwrap();
        let expected = [("a", "cpus=2 icount"), ("b", "")]
            .map(|(name, words)| Case { name: name.to_owned(), wants: words.parse().unwrap() });
        assert_eq!(cases, expected);
    }

    #[test]
    fn wrong_lists_are_refused() {
        assert_eq!(cases("a cpu=2\n").unwrap_err(), "case a: \"cpu=2\": no such word");
        assert_eq!(cases("a\nb\na icount\n").unwrap_err(), "case a: listed twice");
    }
}
