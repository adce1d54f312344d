//! Every case of every suite as a test of its own: `guest::SUITE::CASE` in user programs,
//! `kernel::CASE` inside the kernel.
#![forbid(unsafe_code)]

use std::{
    process::{ExitCode, exit},
    sync::Arc,
    thread::available_parallelism,
};

use libtest_mimic::{Arguments, Failed, Trial};
use orbital_tests::{Guest, Report, Suites, Verdict, slots::Slots};
use xtask::{Failure, Status};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suites = match Suites::build() {
        Ok(suites) => Arc::new(suites),
        Err(failure) => {
            eprintln!("{failure}");
            return ExitCode::from(failure.status as u8);
        }
    };
    let cores = available_parallelism().map_or(1, |cores| cores.get() as u32);
    let slots = Arc::new(Slots::new(cores));
    libtest_mimic::run(&arguments, trials(&suites, &slots)).exit_code()
}

fn trials(suites: &Arc<Suites>, slots: &Arc<Slots>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for case in &suites.kernel_tests.cases {
        let (suites, slots, case) = (suites.clone(), slots.clone(), case.clone());
        trials.push(Trial::test(format!("kernel::{case}"), move || {
            judge(Guest::kernel(&suites.kernel_tests, &case).run(&slots))
        }));
    }
    for (index, suite) in suites.guests.iter().enumerate() {
        for case in &suite.cases {
            let (suites, slots, case) = (suites.clone(), slots.clone(), case.clone());
            trials.push(Trial::test(format!("guest::{}::{case}", suite.name), move || {
                judge(Guest::user(&suites.kernel, &suites.guests[index], &case).run(&slots))
            }));
        }
    }
    trials
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
