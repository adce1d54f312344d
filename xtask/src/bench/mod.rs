//! `cargo xtask bench`: boots the programs in `bench/` once for each benchmark, on a machine that
//! counts instructions, and shows the figures beside those of others.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | the benchmarks: names, units, the figures of others, the bars |
//! | [`protocol`] | what a program says in the log |
//! | [`figures`] | what follows from its samples |
//! | [`report`] | how that is shown |
#![forbid(unsafe_code)]

pub mod figures;
pub mod protocol;
pub mod report;
pub mod table;

use std::path::PathBuf;

use crate::{
    Failure, Status,
    build::{
        cargo::{self, Goal, Profile},
        loadable::loadable,
        system::{INIT, System, read, take},
    },
    cli::{BenchOptions, Boot, RunOptions},
    machine::{Ending, Tail, qemu::Console, running::boot},
    progress::Step,
    setup::{self, packages, toolchain::Toolchain},
};
use figures::Figures;
use table::Benchmark;

/// The program that measures, and the other that it starts.
const PROGRAMS: [&str; 2] = ["bench", "child"];
/// How long one benchmark may take, in seconds: they take about one.
const TIMEOUT: u64 = 120;

/// Measures what `options` name and prints it.
///
/// # Errors
/// [`Status::Usage`] when they name nothing; as the steps of a run. What a machine's end means is as for
/// a run too; a program that says something else than it should is [`Status::InitFailed`].
pub fn bench(options: &BenchOptions) -> Result<Status, Failure> {
    let chosen = table::matching(&options.filter)?;
    setup::check_host()?;
    let machine = machine();
    packages::ensure(&packages::for_run(&machine))?;
    let programs = Programs::build()?;
    let mut measured = Vec::new();
    for benchmark in chosen {
        let figures = programs.measure(benchmark, &machine)?;
        if options.json {
            println!("{}", report::json(benchmark, figures));
        }
        measured.push((benchmark, figures));
    }
    if !options.json {
        print!("{}", report::table(&measured));
    }
    Ok(Status::Success)
}

/// One CPU, one virtual nanosecond for each instruction, and the way of booting that takes the least.
fn machine() -> RunOptions {
    RunOptions { boot: Boot::Direct, icount: true, timeout: Some(TIMEOUT), ..RunOptions::default() }
}

/// Kernel and programs, built.
struct Programs {
    kernel: PathBuf,
    /// As they stand in the archive.
    files: Vec<(String, Vec<u8>)>,
}

impl Programs {
    fn build() -> Result<Self, Failure> {
        let toolchain = Toolchain::ensure()?;
        let packages = [cargo::KERNEL, cargo::BENCH];
        let mut built = cargo::build(&toolchain, Goal::Programs(&packages), Profile::Release)?;
        let kernel = take(&mut built, "kernel")?;
        let [first, other] = PROGRAMS;
        let files = [(first, INIT), (other, other)]
            .into_iter()
            .map(|(name, shown)| {
                let file = read(&take(&mut built, name)?)?;
                Ok((shown.to_owned(), loadable(shown, file)?))
            })
            .collect::<Result<_, Failure>>()?;
        Ok(Self { kernel, files })
    }

    /// Boots a machine for `benchmark`: what others leave behind can't change its figures.
    fn measure(&self, benchmark: &Benchmark, machine: &RunOptions) -> Result<Figures, Failure> {
        let name = benchmark.name;
        let step = Step::begin(format!("measuring {name}"));
        let command_line = format!("bench={name}{}", benchmark.options);
        let system = System::assemble(self.kernel.clone(), self.files.clone(), &command_line)?;
        let mut log = Vec::new();
        let ending = boot(&system, machine, Console::Output)?.watch(&mut log)?;
        drop(step);
        judge(benchmark, &log, ending)
    }
}

/// What a machine's log and its end mean together.
fn judge(benchmark: &Benchmark, log: &[u8], ending: Ending) -> Result<Figures, Failure> {
    let failed = |status, why: &str| {
        show(log);
        Failure::new(status, format!("{}: {why}; above are the log's last lines", benchmark.name))
    };
    match ending.status() {
        Status::Success => {}
        Status::Interrupted => return Err(Failure::new(Status::Interrupted, "interrupted")),
        status @ Status::TimedOut => return Err(failed(status, "the time is up")),
        status @ Status::InitFailed => return Err(failed(status, "the program failed")),
        status => return Err(failed(status, "the machine came to a bad end")),
    }
    protocol::read(benchmark.name, &String::from_utf8_lossy(log))
        .and_then(|samples| Figures::of(&samples, benchmark.value))
        .map_err(|why| failed(Status::InitFailed, &why))
}

fn show(log: &[u8]) {
    let mut tail = Tail::default();
    tail.push(log);
    for line in tail.lines() {
        eprintln!("| {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ending::{VERDICT_FAILURE, VERDICT_PANIC, VERDICT_SUCCESS};

    const LOG: &str = "[    0.1] cpu0 INFO  init: bench syscall_null: overhead 1, per 1\r\n\
                       [    0.1] cpu0 INFO  init: bench syscall_null: samples 8 9 7\r\n\
                       [    0.1] cpu0 INFO  init: bench syscall_null: end, 3 samples\r\n";

    fn status(log: &str, ending: Ending) -> Result<u64, Status> {
        let benchmark = &table::matching("syscall_null").unwrap()[0];
        let judged = judge(benchmark, log.as_bytes(), ending);
        judged.map(|figures| figures.value).map_err(|failure| failure.status)
    }

    #[test]
    fn figures_need_a_good_end_and_a_good_log() {
        let good = Ending::Verdict(VERDICT_SUCCESS);
        assert_eq!(status(LOG, good), Ok(7));
        assert_eq!(status("", good), Err(Status::InitFailed));
        for (ending, expected) in [
            (Ending::Verdict(VERDICT_FAILURE), Status::InitFailed),
            (Ending::Verdict(VERDICT_PANIC), Status::Crashed),
            (Ending::NoVerdict, Status::Crashed),
            (Ending::TimedOut, Status::TimedOut),
            (Ending::Interrupted, Status::Interrupted),
        ] {
            assert_eq!(status(LOG, ending), Err(expected), "{ending:?}");
        }
    }
}
