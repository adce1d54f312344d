//! One case in one machine.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use xtask::{
    Failure,
    build::{
        loadable::loadable,
        system::{INIT, System, read},
    },
    cli::{Boot, Machine, RunOptions, SystemOptions},
    machine::{boot, qemu::Console, tail},
    setup::{packages, paths},
};

use crate::{
    environment::Environment,
    slots::Slots,
    suites::{Case, Suite},
    verdict::Verdict,
    wants::Wants,
};

/// How much slower Bochs is: it interprets, and boots through firmware and GRUB.
const BOCHS_SCALE: f64 = 5.0;

/// What to boot for one case.
#[derive(Clone, Debug)]
pub struct Guest {
    kernel: PathBuf,
    init: Option<PathBuf>,
    case: String,
    command_line: String,
    environment: Environment,
    /// Its name in the report, and its log's.
    pub name: String,
    /// Its machine.
    pub options: RunOptions,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Report {
    /// In one word, and why.
    pub verdict: Verdict,
    /// All that came out of the serial port.
    pub log: String,
    /// Where the log was kept.
    pub file: PathBuf,
}

impl Guest {
    /// The machines for `case` of the user program `suite` on `kernel`.
    pub fn user(
        kernel: &Path,
        suite: &Suite,
        case: &Case,
        environment: &Environment,
    ) -> impl Iterator<Item = Self> {
        let (kernel, init) = (kernel.to_owned(), Some(suite.program.clone()));
        let name = format!("guest::{}::{}", suite.name, case.name);
        Self::several(kernel, init, name, case, environment)
    }

    /// The machines for `case` inside the kernel `suite`.
    pub fn kernel(
        suite: &Suite,
        case: &Case,
        environment: &Environment,
    ) -> impl Iterator<Item = Self> {
        let name = format!("kernel::{}", case.name);
        Self::several(suite.program.clone(), None, name, case, environment)
    }

    fn several(
        kernel: PathBuf,
        init: Option<PathBuf>,
        name: String,
        case: &Case,
        environment: &Environment,
    ) -> impl Iterator<Item = Self> {
        let (case_name, environment) = (case.name.clone(), environment.clone());
        let words = command_line(case, &environment);
        let machines = machines(&case.wants, &environment);
        machines.into_iter().map(move |(suffix, options)| Self {
            kernel: kernel.clone(),
            init: init.clone(),
            case: case_name.clone(),
            command_line: format!("{words} cpus={} {}", options.cpus(), options.system.append)
                .trim_end()
                .to_owned(),
            environment: environment.clone(),
            name: format!("{name}{suffix}"),
            options,
        })
    }

    /// With another watchdog, in seconds.
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        let scale = timeout_scale(self.options.machine, &self.environment);
        self.options.timeout = Some((seconds as f64 * scale).ceil() as u64);
        self
    }

    /// With more words on the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &str) -> Self {
        self.command_line = format!("{} {words}", self.command_line);
        self
    }

    /// Boots it and waits for its end. Installs the machine's program where it is missing.
    ///
    /// # Errors
    /// When the machine can't be started.
    pub fn run(&self, slots: &Slots) -> Result<Report, Failure> {
        ensure(&self.options)?;
        let init = |file| Ok((INIT.to_owned(), loadable(INIT, read(file)?)?));
        let files = self.init.as_deref().map(init).into_iter().collect::<Result<_, _>>()?;
        let system = System::assemble(self.kernel.clone(), files, &self.command_line)?;
        let slot = slots.take(cores(&self.options));
        let mut log = Vec::new();
        let ending = boot(&system, &self.options, Console::Output)?.watch(&mut log)?;
        drop(slot);
        let log = String::from_utf8_lossy(&log).into_owned();
        let file = keep(&self.name, &log)?;
        Ok(Report { verdict: Verdict::of(&self.case, &log, ending), log, file })
    }
}

impl Report {
    /// The end of the log.
    pub fn tail(&self) -> String {
        let mut tail = tail::Tail::default();
        tail.push(self.log.as_bytes());
        tail.lines().join("\n")
    }
}

/// Keeps a log as `NAME.log`.
fn keep(name: &str, log: &str) -> Result<PathBuf, Failure> {
    let folder = paths::output().join("logs");
    let file = folder.join(format!("{}.log", name.replace("::", ".")));
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, log))
        .map_err(Failure::of(file.display()))?;
    Ok(file)
}

/// The words for the kernel and the case.
fn command_line(case: &Case, environment: &Environment) -> String {
    let soak = if environment.is_soak { " soak=1" } else { "" };
    let seed = environment.seed.map(|seed| format!(" seed={seed}")).unwrap_or_default();
    let nmi = case.wants.nmi.map(|ticks| format!(" test=nmi nmi={ticks}")).unwrap_or_default();
    let trace = if case.wants.traced { " trace=ipc" } else { "" };
    format!("case={}{soak}{seed}{nmi}{trace}", case.name)
}

/// The machines that a case wants, as far as the environment lets it; each with what its name has
/// more than the case's.
fn machines(wants: &Wants, environment: &Environment) -> Vec<(String, RunOptions)> {
    let usual = machine(environment.machine.or(wants.machine).unwrap_or(Machine::Q35));
    let is_other = wants.machine.is_some_and(|wanted| wanted != usual.machine);
    // Bochs knows no counting of instructions, and its clock runs as fast as its host lets it.
    let is_unfit = usual.machine == Machine::Bochs && (wants.icount || wants.timed);
    if is_other || is_unfit {
        return Vec::new();
    }
    let counts = environment.smp.map_or_else(|| wants.cpus.clone(), |smp| vec![smp]);
    let times = if environment.is_soak { wants.times.soak } else { wants.times.usual };
    let timeout = wants.timeout as f64 * timeout_scale(usual.machine, environment);
    let is_one_of = |all: usize, suffix: String| if all > 1 { suffix } else { String::new() };
    // What stands on the kernel's command line, and behind the case's name.
    let ways = [("", ""), ("fast_path=off", "::messages"), ("short_cuts=off", "::general")];
    let ways = if wants.general { &ways[..] } else { &ways[..1] };
    let mut machines = Vec::new();
    let each = counts.iter().flat_map(|cpus| ways.iter().map(move |way| (cpus, way)));
    for (cpus, (append, way)) in each {
        let options = RunOptions {
            smp: Some(*cpus),
            memory: wants.memory,
            icount: wants.icount,
            timeout: Some(timeout.ceil() as u64),
            system: SystemOptions { append: (*append).to_owned(), ..usual.system.clone() },
            ..usual.clone()
        };
        for time in 1..=times {
            let mut suffix = is_one_of(counts.len(), format!("::cpus{cpus}"));
            suffix += way;
            suffix += &is_one_of(times as usize, format!("::run{time}"));
            machines.push((suffix, options.clone()));
        }
    }
    machines
}

/// A machine, whatever a case wants more.
fn machine(machine: Machine) -> RunOptions {
    let boot = if machine == Machine::Bochs { Boot::Iso } else { Boot::Direct };
    RunOptions { boot, machine, ..RunOptions::default() }
}

/// Installs what a machine needs, once: tests run side by side.
fn ensure(options: &RunOptions) -> Result<(), Failure> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    packages::ensure(&packages::for_run(options))
}

/// How many of the host's cores a machine keeps busy: the CPUs take turns where instructions are
/// counted, and in Bochs.
fn cores(options: &RunOptions) -> u32 {
    if options.icount || options.machine == Machine::Bochs { 1 } else { options.cpus() }
}

/// What watchdogs are multiplied by.
fn timeout_scale(machine: Machine, environment: &Environment) -> f64 {
    environment.timeout_scale * if machine == Machine::Bochs { BOCHS_SCALE } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(words: &str, environment: &Environment) -> Vec<(String, u32)> {
        let machines = machines(&words.parse().unwrap(), environment);
        machines.into_iter().map(|(suffix, options)| (suffix, options.cpus())).collect()
    }

    fn one(suffix: &str, cpus: u32) -> (String, u32) {
        (suffix.to_owned(), cpus)
    }

    #[test]
    fn several_machines_have_names_of_their_own() {
        let usual = Environment::default();
        assert_eq!(planned("", &usual), [one("", 1)]);
        assert_eq!(planned("cpus=4", &usual), [one("", 4)]);
        assert_eq!(planned("cpus=1,4", &usual), [one("::cpus1", 1), one("::cpus4", 4)]);
        assert_eq!(planned("times=2,3", &usual), [one("::run1", 1), one("::run2", 1)]);
        let ways = ["", "::messages", "::general"].map(|way| one(way, 1));
        assert_eq!(planned("general", &usual), ways);
        let both = planned("cpus=2,4 times=2,2", &usual);
        assert_eq!(both[..2], [one("::cpus2::run1", 2), one("::cpus2::run2", 2)]);
        assert_eq!(both[2..], [one("::cpus4::run1", 4), one("::cpus4::run2", 4)]);
    }

    #[test]
    fn the_environment_decides_for_all() {
        let smp = Environment { smp: Some(2), ..Environment::default() };
        assert_eq!(planned("", &smp), [one("", 2)]);
        assert_eq!(planned("cpus=1,4", &smp), [one("", 2)]);
        let soak = Environment { is_soak: true, ..Environment::default() };
        assert_eq!(planned("times=1,2", &soak), [one("::run1", 1), one("::run2", 1)]);
    }

    #[test]
    fn a_machine_has_what_its_case_wants() {
        let slow = Environment { timeout_scale: 1.5, ..Environment::default() };
        let wants = "memory=1G icount timeout=5 cpus=4".parse().unwrap();
        let (_, options) = machines(&wants, &slow).remove(0);
        assert_eq!((options.memory.mebibytes, options.icount), (1024, true));
        assert_eq!((options.timeout, cores(&options)), (Some(8), 1));
    }

    #[test]
    fn a_case_goes_the_general_ways_too_where_it_wants() {
        let machines = machines(&"general".parse().unwrap(), &Environment::default());
        let words: Vec<_> =
            machines.iter().map(|(_, options)| options.system.append.as_str()).collect();
        assert_eq!(words, ["", "fast_path=off", "short_cuts=off"]);
    }

    #[test]
    fn bochs_gets_no_case_that_it_can_t_run() {
        let bochs = Environment { machine: Some(Machine::Bochs), ..Environment::default() };
        assert_eq!(planned("icount", &bochs), []);
        assert_eq!(planned("timed", &bochs), []);
        let (_, options) = machines(&Wants::default(), &bochs).remove(0);
        assert_eq!((options.machine, options.boot), (Machine::Bochs, Boot::Iso));
        assert_eq!(options.timeout, Some(300));
    }

    #[test]
    fn a_case_for_one_machine_runs_on_no_other() {
        let asked = |machine| Environment { machine, ..Environment::default() };
        for machine in [None, Some(Machine::Bochs)] {
            let (_, options) =
                machines(&"machine=bochs".parse().unwrap(), &asked(machine)).remove(0);
            assert_eq!(options.machine, Machine::Bochs);
        }
        assert_eq!(planned("machine=bochs", &asked(Some(Machine::Pc))), []);
    }

    #[test]
    fn the_command_line_tells_what_is_asked_for() {
        let case = |words: &str| Case { name: "a".to_owned(), wants: words.parse().unwrap() };
        assert_eq!(command_line(&case(""), &Environment::default()), "case=a");
        let long = Environment { is_soak: true, seed: Some(7), ..Environment::default() };
        assert_eq!(command_line(&case(""), &long), "case=a soak=1 seed=7");
        let storm = command_line(&case("nmi=9"), &Environment::default());
        assert_eq!(storm, "case=a test=nmi nmi=9");
        let traced = command_line(&case("traced"), &Environment::default());
        assert_eq!(traced, "case=a trace=ipc");
    }
}
