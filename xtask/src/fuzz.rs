//! `cargo xtask fuzz`: system calls at random from all sides, at length: one case of the guest program `fuzz`
//! (`tests/guests/src/bin/fuzz/sides.rs`) in one machine, as often as is asked for.
#![forbid(unsafe_code)]

use std::io::stdout;

use crate::{
    Failure, Status,
    build::{
        cargo::{self, Goal, Profile},
        loadable::loadable,
        system::{INIT, System, read, take},
    },
    cli::{Boot, FuzzOptions, MemorySize, RunOptions},
    machine::{qemu::Console, running::boot},
    run::explain,
    setup::{check_host, packages, toolchain::Toolchain},
};

/// The guest program, and its case.
const PROGRAM: &str = "fuzz";
const CASE: &str = "calls_from_all_sides_do_no_harm";
/// Seconds that any run may take.
const LEAST_TIMEOUT: u64 = 240;
/// Calls that take less than a second on a slow host that does other things too.
const CALLS_A_SECOND: u64 = 500;

/// Makes random calls; all that the machine says goes to stdout.
///
/// # Errors
/// As the steps of a run. What became of the machine is no error: the status says whether the kernel panicked, or
/// the time is up, or the program found something.
pub fn fuzz(options: &FuzzOptions) -> Result<Status, Failure> {
    check_host()?;
    let machine = machine(options);
    packages::ensure(&packages::for_run(&machine))?;
    let toolchain = Toolchain::ensure()?;
    let packages = [cargo::KERNEL, cargo::GUESTS];
    let mut programs = cargo::build(&toolchain, Goal::Programs(&packages), Profile::Debug)?;
    let kernel = take(&mut programs, "kernel")?;
    let program = loadable(INIT, read(&take(&mut programs, PROGRAM)?)?)?;
    let system =
        System::assemble(kernel, vec![(INIT.to_owned(), program)], &command_line(options))?;
    let mut running = boot(&system, &machine, Console::Output)?;
    let ending = running.watch(&mut stdout().lock())?;
    explain(ending, &running);
    Ok(ending.status())
}

fn machine(options: &FuzzOptions) -> RunOptions {
    RunOptions {
        boot: Boot::Direct,
        smp: Some(options.smp),
        memory: MemorySize { mebibytes: 256 },
        timeout: Some(LEAST_TIMEOUT + options.iterations / CALLS_A_SECOND),
        ..RunOptions::default()
    }
}

fn command_line(options: &FuzzOptions) -> String {
    let FuzzOptions { iterations, seed, smp } = options;
    format!("case={CASE} iterations={iterations} seed={seed} cpus={smp}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_told_what_was_asked_for() {
        let options = FuzzOptions { iterations: 10_000_000, seed: u64::MAX, smp: 3 };
        let words = "case=calls_from_all_sides_do_no_harm iterations=10000000 \
                     seed=18446744073709551615 cpus=3";
        assert_eq!(command_line(&options), words);
        let machine = machine(&options);
        assert_eq!((machine.cpus(), machine.timeout), (3, Some(20_240)));
    }
}
