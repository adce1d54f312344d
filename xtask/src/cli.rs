//! Commands and options, as `docs/running.md` explains them.
#![forbid(unsafe_code)]

use std::{ffi::OsString, path::PathBuf, process::ExitCode, str::FromStr};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::Status;

/// Builds, boots and tests Orbital.
#[derive(Debug, Parser)]
#[command(name = "xtask", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do; `run` where none is named.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boots Orbital (the default command)
    Run(RunOptions),
    /// Makes the bootable image alone
    Image(ImageOptions),
    /// Builds the programs of a package for Orbital, and says where they are
    Build(BuildOptions),
    /// Runs the tests with their full counts, again and again
    Soak(SoakOptions),
    /// Makes system calls at random, from several threads and CPUs
    Fuzz(FuzzOptions),
    /// Measures the kernel in executed instructions
    Bench(BenchOptions),
    /// Checks format, lints, documentation, file sizes and where `unsafe` stands
    Tidy,
}

const COMMANDS: [&str; 7] = ["run", "image", "build", "soak", "fuzz", "bench", "tidy"];

/// `cargo run -- --smp 4` means `run --smp 4`.
pub fn with_default_command(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<_> = arguments.collect();
    let names_one = arguments.get(1).is_some_and(|first| {
        first.to_str().is_some_and(|first| COMMANDS.contains(&first) || is_about_all(first))
    });
    if !names_one {
        arguments.insert(1.min(arguments.len()), "run".into());
    }
    arguments
}

fn is_about_all(argument: &str) -> bool {
    ["-h", "--help", "-V", "--version"].contains(&argument)
}

/// Prints what clap has to say: help in full, an error in one line.
pub fn report(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nothing to be done about a closed stdout.
        let _ = error.print();
        return ExitCode::from(Status::Success as u8);
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or("wrong usage");
    let line = line.strip_prefix("error: ").unwrap_or(line);
    eprintln!("xtask: {line} (--help lists the options)");
    ExitCode::from(Status::Usage as u8)
}

/// What the kernel and its programs are made of.
#[derive(Args, Clone, Debug, Default)]
pub struct SystemOptions {
    /// Another ELF as the first process
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// One more module, handed to init; may be repeated
    #[arg(long = "module", value_name = "FILE[=NAME]")]
    pub modules: Vec<Module>,
    /// Kernel command line, as `key=value …`
    #[arg(long, value_name = "WORDS", default_value = "", allow_hyphen_values = true)]
    pub append: String,
    /// The optimised kernel, without debug assertions
    #[arg(long)]
    pub release: bool,
}

/// Options of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// What the machine loads.
    #[command(flatten)]
    pub system: SystemOptions,
    /// How it loads it: by GRUB on BIOS, by GRUB on UEFI, or by QEMU itself
    #[arg(long, value_enum, default_value_t = Boot::Iso)]
    pub boot: Boot,
    /// The machine
    #[arg(long, value_enum, default_value_t = Machine::Q35)]
    pub machine: Machine,
    /// How many CPUs [default: 2; 1 with --icount]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub smp: Option<u32>,
    /// How much RAM, as 64M or 4G
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub memory: MemorySize,
    /// One virtual nanosecond per instruction: every run is the same
    #[arg(long)]
    pub icount: bool,
    /// Wall seconds after which the machine is ended [default: none on a terminal, else 240]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,
    /// A trace of all that happens, for Perfetto and chrome://tracing
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// The file to which QEMU's debug console goes. No option: a trace needs one.
    #[arg(skip)]
    pub debug_console: Option<PathBuf>,
    /// Stop at the kernel's entry and wait for gdb
    #[arg(long)]
    pub gdb: bool,
    /// A window for the screen
    #[arg(long)]
    pub display: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            system: SystemOptions::default(),
            boot: Boot::Iso,
            machine: Machine::Q35,
            smp: None,
            memory: MemorySize { mebibytes: 256 },
            icount: false,
            timeout: None,
            trace: None,
            debug_console: None,
            gdb: false,
            display: false,
        }
    }
}

impl RunOptions {
    /// How many CPUs the machine has.
    pub fn cpus(&self) -> u32 {
        self.smp.unwrap_or(if self.icount { 1 } else { 2 })
    }
}

/// Options of `image`.
#[derive(Args, Clone, Debug)]
pub struct ImageOptions {
    /// Where the image goes
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// What is in it.
    #[command(flatten)]
    pub system: SystemOptions,
}

/// Options of `build`.
#[derive(Args, Clone, Debug)]
pub struct BuildOptions {
    /// The package's folder
    #[arg(value_name = "PATH", default_value = ".")]
    pub path: PathBuf,
    /// Optimised, without debug assertions
    #[arg(long)]
    pub release: bool,
}

/// Options of `soak`.
#[derive(Args, Clone, Debug)]
pub struct SoakOptions {
    /// Only tests whose name contains this
    pub name: Option<String>,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub repeat: u32,
    /// How many CPUs the guests have [default: each test's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub smp: Option<u32>,
    /// The guests' machine [default: each test's own]
    #[arg(long, value_enum)]
    pub machine: Option<Machine>,
    /// What the guests' random tests start from [default: each test's own]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// Options of `fuzz`.
#[derive(Args, Clone, Debug)]
pub struct FuzzOptions {
    /// How many calls
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub iterations: u64,
    /// Which calls: the same seed makes each thread draw the same
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// How many CPUs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub smp: u32,
}

/// Options of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchOptions {
    /// One JSON object a line in place of the table
    #[arg(long)]
    pub json: bool,
    /// Only benchmarks whose name contains this
    #[arg(long, value_name = "S", default_value = "", hide_default_value = true)]
    pub filter: String,
}

/// Ways of booting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Boot {
    /// GRUB on BIOS, by Multiboot2.
    Iso,
    /// GRUB on UEFI, by Multiboot2.
    Uefi,
    /// QEMU itself, by PVH.
    Direct,
}

/// Machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Machine {
    /// QEMU's PC with PCI Express.
    Q35,
    /// QEMU's older PC.
    Pc,
    /// QEMU's machine without firmware and PCI; boots directly only.
    Microvm,
    /// Bochs; boots from the image only.
    Bochs,
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        ValueEnum::from_str(text, false)
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No variant is hidden, so each has a name.
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// `FILE[=NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The file.
    pub file: PathBuf,
    /// Its name for init.
    pub name: String,
}

impl FromStr for Module {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (file, name) = match text.rsplit_once('=') {
            Some((file, name)) => (PathBuf::from(file), Some(name.to_owned())),
            None => (PathBuf::from(text), None),
        };
        let own_name = || Some(file.file_name()?.to_str()?.to_owned());
        let name = name.or_else(own_name).ok_or("a module needs a file name")?;
        let fits = (1..100).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic());
        if !fits {
            return Err(format!("{name:?} is no module name (1 to 99 visible ASCII characters)"));
        }
        Ok(Self { file, name })
    }
}

/// An amount of RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemorySize {
    /// In MiB.
    pub mebibytes: u64,
}

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a size is a number with M or G behind it, as 256M".to_owned();
        let (digits, unit) = match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix(['G', 'g']).ok_or_else(wrong)?, 1024),
        };
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        match number.checked_mul(unit) {
            Some(mebibytes @ 1..=1_048_576) => Ok(Self { mebibytes }),
            _ => Err("RAM is between 1M and 1024G".to_owned()),
        }
    }
}

impl std::fmt::Display for MemorySize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}M", self.mebibytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        let words = ["xtask"].iter().chain(words).map(OsString::from);
        Cli::try_parse_from(with_default_command(words))
    }

    #[test]
    fn options_without_a_command_mean_run() {
        let cli = parse(&["--smp", "4", "--memory", "4G", "--module", "a/b=c"]).unwrap();
        let Command::Run(options) = cli.command else { panic!("not run") };
        assert_eq!((options.cpus(), options.memory.mebibytes), (4, 4096));
        assert_eq!(options.system.modules[0].name, "c");
    }

    #[test]
    fn icount_has_one_cpu_unless_told() {
        let cpus = |words: &[&str]| match parse(words).unwrap().command {
            Command::Run(options) => options.cpus(),
            _ => panic!("not run"),
        };
        assert_eq!(cpus(&[]), 2);
        assert_eq!(cpus(&["--icount"]), 1);
        assert_eq!(cpus(&["--icount", "--smp", "3"]), 3);
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            &["--nonsense"][..],
            &["--smp", "0"],
            &["--smp", "-1"],
            &["--memory", "0M"],
            &["--memory", "12"],
            &["--memory", "99999999999999999999G"],
            &["--timeout", "0"],
            &["--module", "x="],
            &["--boot", "floppy"],
            &["--trace"],
            &["image", "-o", "a", "--trace", "b"],
            &["image"],
            &["build", "one", "two"],
            &["soak", "--seed", "-1"],
            &["fuzz", "--iterations", "0"],
            &["fuzz", "--seed", "-1"],
            &["fuzz", "--smp", "17"],
            &["bench", "stray"],
            &["bench", "--filter"],
            &["stray"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
