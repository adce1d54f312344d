//! One case in one machine.

use std::{fs, path::PathBuf, str::FromStr};

use xtask::{
    Failure,
    build::system::{INIT, System, read},
    cli::{Boot, Machine, MemorySize, RunOptions},
    machine::{boot, qemu::Console, tail},
    setup::paths,
    soak,
};

use crate::{slots::Slots, suites::Suite, verdict::Verdict};

/// How long a case may take, in seconds, before `ORBITAL_TIMEOUT_SCALE`.
const WATCHDOG: u64 = 60;

/// What to boot for one case.
#[derive(Clone, Debug)]
pub struct Guest<'a> {
    kernel: &'a PathBuf,
    init: Option<&'a PathBuf>,
    case: &'a str,
    append: &'a str,
    /// Its name in the report, and its log's.
    pub name: String,
    options: RunOptions,
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

impl<'a> Guest<'a> {
    /// The case `case` of the user program `suite` on `kernel`.
    pub fn user(kernel: &'a PathBuf, suite: &'a Suite, case: &'a str) -> Self {
        let name = format!("guest::{}::{case}", suite.name);
        Self { kernel, init: Some(&suite.program), case, append: "", name, options: options() }
    }

    /// The case `case` inside the kernel `suite`.
    pub fn kernel(suite: &'a Suite, case: &'a str) -> Self {
        let name = format!("kernel::{case}");
        Self { kernel: &suite.program, init: None, case, append: "", name, options: options() }
    }

    /// With another watchdog, in seconds.
    #[must_use]
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.options.timeout = Some(scaled(seconds));
        self
    }

    /// With more words on the kernel's command line.
    #[must_use]
    pub fn append(mut self, words: &'a str) -> Self {
        self.append = words;
        self
    }

    /// Boots it and waits for its end.
    ///
    /// # Errors
    /// When the machine can't be started.
    pub fn run(&self, slots: &Slots) -> Result<Report, Failure> {
        let init = self.init.map(|file| Ok((INIT.to_owned(), read(file)?))).transpose()?;
        let command_line = format!("case={} {}", self.case, self.append);
        let files = init.into_iter().collect();
        let system = System::assemble(self.kernel.clone(), files, &command_line)?;
        let slot = slots.take(self.options.cpus());
        let mut log = Vec::new();
        let ending = boot(&system, &self.options, Console::Output)?.watch(&mut log)?;
        drop(slot);
        let log = String::from_utf8_lossy(&log).into_owned();
        let file = keep(&self.name, &log)?;
        Ok(Report { verdict: Verdict::of(self.case, &log, ending), log, file })
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

/// The machine for a case, as the environment wants it.
pub fn options() -> RunOptions {
    let smp = variable(soak::SMP, 1);
    let machine = variable(soak::MACHINE, Machine::Q35);
    RunOptions {
        boot: if machine == Machine::Bochs { Boot::Iso } else { Boot::Direct },
        machine,
        smp: Some(smp),
        memory: MemorySize { mebibytes: 128 },
        timeout: Some(scaled(WATCHDOG)),
        ..RunOptions::default()
    }
}

/// Slow hosts multiply their watchdogs.
fn scaled(seconds: u64) -> u64 {
    let scale: f64 = variable("ORBITAL_TIMEOUT_SCALE", 1.0);
    (seconds as f64 * scale).ceil() as u64
}

/// The variable `name` of the environment.
///
/// # Panics
/// When it is no such value: to go on with another would test something else than was asked for.
fn variable<T: FromStr>(name: &str, otherwise: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: no such value")),
        Err(_) => otherwise,
    }
}
