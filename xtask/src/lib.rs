//! The host side of Orbital: finds or installs the tools, builds kernel and programs, puts them into
//! an image, and runs the machine. `xtask`'s commands use it, and so do the tests that boot QEMU.
//!
//! | module | what |
//! |---|---|
//! | [`cli`] | options and commands |
//! | [`setup`] | packages, the toolchain, paths |
//! | [`build`] | the nested cargo build, the archive of programs, the bootable image |
//! | [`machine`] | QEMU and Bochs: their command lines, and a running one |
//! | [`trace`] | what a machine did, for Perfetto |
//! | [`run`], [`programs`], [`soak`], [`mod@fuzz`], [`mod@bench`], [`tidy`] | the commands |

pub mod bench;
pub mod build;
pub mod cli;
pub mod failure;
pub mod fuzz;
pub mod machine;
pub mod programs;
pub mod progress;
pub mod run;
pub mod setup;
pub mod soak;
pub mod tidy;
pub mod trace;

use std::process::ExitCode;

use clap::Parser;

pub use failure::{Failure, Status};

/// Runs the command that the process's arguments name; gives the exit status.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os();
    let cli = match cli::Cli::try_parse_from(cli::with_default_command(arguments)) {
        Ok(cli) => cli,
        Err(error) => return cli::report(&error),
    };
    let result = match cli.command {
        cli::Command::Run(options) => run::run(&options),
        cli::Command::Image(options) => run::image(&options),
        cli::Command::Build(options) => programs::build(&options),
        cli::Command::Soak(options) => soak::soak(&options),
        cli::Command::Fuzz(options) => fuzz::fuzz(&options),
        cli::Command::Bench(options) => bench::bench(&options),
        cli::Command::Tidy => tidy::tidy(),
    };
    match result {
        Ok(status) => ExitCode::from(status as u8),
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.status as u8)
        }
    }
}
