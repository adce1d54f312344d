//! Every case of every suite as a test of its own: `guest::SUITE::CASE` in user programs,
//! `kernel::CASE` inside the kernel; with `::cpusN` behind it where it runs with several counts of
//! CPUs, and `::runN` where it runs several times.
#![forbid(unsafe_code)]

use std::{
    process::{ExitCode, exit},
    sync::Arc,
    thread::available_parallelism,
};

use libtest_mimic::{Arguments, Failed, Trial};
use orbital_tests::{Environment, Guest, Report, Suites, Verdict, slots::Slots};
use xtask::{Failure, Status};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = match trials() {
        Ok(trials) => trials,
        Err(failure) => {
            eprintln!("{failure}");
            return ExitCode::from(failure.status as u8);
        }
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials() -> Result<Vec<Trial>, Failure> {
    let environment = Environment::read()?;
    let guests = Suites::build()?.plan(&environment);
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u32);
    let slots = Arc::new(Slots::new(cores));
    let trial = |guest: Guest| {
        let slots = slots.clone();
        Trial::test(guest.name.clone(), move || judge(guest.run(&slots)))
    };
    Ok(guests.into_iter().map(trial).collect())
}

fn judge(report: Result<Report, Failure>) -> Result<(), Failed> {
    let report = report.map_err(|failure| failure.to_string())?;
    match report.verdict {
        Verdict::Pass => Ok(()),
        // Whoever ends one test by hand wants no other either.
        Verdict::Interrupted => exit(Status::Interrupted as i32),
        ref verdict => {
            let (tail, file) = (report.tail(), report.file.display());
            Err(format!("{verdict}\nThe log's end ({file}):\n{tail}").into())
        }
    }
}
