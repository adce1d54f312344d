//! `cargo run` and `cargo xtask image`.
#![forbid(unsafe_code)]

use std::io::stdout;

use crate::{
    Failure, Status,
    build::{image, system::Inputs},
    cli::{ImageOptions, RunOptions},
    machine::{
        self, Ending,
        qemu::Console,
        running::{boot, command_line, console},
    },
    setup::{check_host, packages},
    trace::{self, Recording},
};

/// How long a run without a terminal may take, in seconds.
const TIMEOUT: u64 = 240;

/// Builds Orbital and boots it.
///
/// # Errors
/// As the steps; the status of what became of the machine is no error.
pub fn run(options: &RunOptions) -> Result<Status, Failure> {
    check_host()?;
    machine::running::check(options)?;
    let mut options = options.clone();
    let recording = options.trace.as_deref().map(Recording::to).transpose()?;
    if let Some(recording) = &recording {
        options.debug_console = Some(recording.console());
        options.system.append = format!("{} {}", trace::WORDS, options.system.append);
    }
    let console = console(&options.system.append);
    options.system.append = command_line(&options.system.append, console);
    let inputs = Inputs::read(&options.system)?;
    packages::ensure(&packages::for_run(&options))?;
    let system = inputs.build()?;
    if console != Console::Terminal && !options.gdb {
        options.timeout = options.timeout.or(Some(TIMEOUT));
    }
    let mut running = boot(&system, &options, console)?;
    if options.gdb {
        eprintln!(
            "xtask: in another terminal, type: gdb {} -ex 'target remote localhost:1234' \
             -ex 'hbreak kernel_main' -ex continue",
            system.kernel.display()
        );
    }
    let ending = running.watch(&mut stdout().lock());
    recording.map_or(Ok(()), Recording::finish)?;
    let ending = ending?;
    explain(ending, &running);
    Ok(ending.status())
}

/// Says in one line what became of the machine, where its own last line does not.
pub(crate) fn explain(ending: Ending, running: &machine::Running) {
    match ending {
        Ending::Verdict(machine::ending::VERDICT_SUCCESS) => {}
        Ending::Verdict(machine::ending::VERDICT_FAILURE) => {
            eprintln!("xtask: init failed, as the log says");
        }
        Ending::Verdict(machine::ending::VERDICT_PANIC) => {
            eprintln!("xtask: the kernel panicked, as the log says");
        }
        Ending::Verdict(other) => eprintln!("xtask: unknown verdict {other:#x}"),
        Ending::NoVerdict => {
            eprintln!("xtask: the machine was reset or ended without a verdict");
        }
        Ending::Interrupted => eprintln!("xtask: interrupted"),
        Ending::TimedOut => {
            for line in running.tail().lines() {
                eprintln!("| {line}");
            }
            eprintln!("xtask: the time is up; above are the log's last lines");
        }
    }
}

/// Makes the bootable image alone.
///
/// # Errors
/// As the steps.
pub fn image(options: &ImageOptions) -> Result<Status, Failure> {
    check_host()?;
    let mut system_options = options.system.clone();
    system_options.append = format!("shell=off {}", system_options.append).trim_end().to_owned();
    let inputs = Inputs::read(&system_options)?;
    packages::ensure(packages::IMAGE)?;
    let system = inputs.build()?;
    image::write(&system, image::Screen::Any, &options.output)?;
    Ok(Status::Success)
}
