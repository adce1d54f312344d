//! A running machine: its serial output goes where the caller wants it, until the machine ends, the
//! time is up, or the user has enough.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{self, ErrorKind, IsTerminal, Read, Write, stdin},
    process::{Child, Stdio},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tempfile::TempDir;

use super::{
    Ending, Tail,
    bochs::{self, SerialPipe},
    process,
    qemu::{self, Console, Files},
    terminal,
};
use crate::{
    Failure,
    build::{
        image::{self, Screen},
        system::System,
    },
    cli::{Boot, Machine, RunOptions},
};

/// How often the user's signals and the time are looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a terminal that is full is given.
const FULL: Duration = Duration::from_millis(2);
/// What asks init for a shell.
const SHELL_ON: &str = "shell=on";
/// QEMU says this on the terminal when the user types Ctrl-A X.
const ENDED_BY_USER: &str = "QEMU: Terminated";

/// A machine that was started. Its process ends with this.
pub struct Running {
    child: Child,
    serial: Receiver<Vec<u8>>,
    complaints: Receiver<Vec<u8>>,
    /// The program's own output where it is not the serial port's: taken, so that it never waits.
    _messages: Option<Receiver<Vec<u8>>>,
    deadline: Option<Instant>,
    /// Where the machine is Bochs, which has no other way to tell its verdict than its last line.
    pipe: Option<SerialPipe>,
    console: Console,
    interrupted: Arc<AtomicBool>,
    tail: Tail,
    _files: TempDir,
    _terminal: terminal::Restore,
}

/// Set when the user wants an end: Ctrl-C, or a signal that ends processes.
pub fn interrupted() -> Arc<AtomicBool> {
    static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let flag = FLAG.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // Fails for signals that can't be caught; these can.
            let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
        }
        flag
    });
    Arc::clone(flag)
}

/// What the machine gets of the user's: the terminal, where stdin is one; what stands on stdin, where a shell was asked for.
pub fn console(command_line: &str) -> Console {
    if stdin().is_terminal() {
        Console::Terminal
    } else if command_line.split_whitespace().any(|word| word == SHELL_ON) {
        Console::Input
    } else {
        Console::Output
    }
}

/// The command line of a machine with this console: on a terminal there is a shell, unless something else is asked for.
pub fn command_line(given: &str, console: Console) -> String {
    let is_said = |word: &str| {
        ["shell=", "exec=", "\"exec=", "test="].iter().any(|option| word.starts_with(option))
    };
    let words = (console == Console::Terminal && !given.split_whitespace().any(is_said))
        .then_some(SHELL_ON)
        .into_iter()
        .chain(Some(given).filter(|given| !given.is_empty()));
    words.collect::<Vec<_>>().join(" ")
}

/// Starts a machine with `system`.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) for options that don't go together, and when a file can't
/// be written or the machine's program can't be started.
pub fn boot(system: &System, options: &RunOptions, console: Console) -> Result<Running, Failure> {
    check(options)?;
    let folder = tempfile::tempdir().map_err(Failure::of("a temporary folder"))?;
    let files = match options.boot {
        Boot::Direct => {
            let archive = folder.path().join("programs.tar");
            fs::write(&archive, &system.archive).map_err(Failure::of(archive.display()))?;
            let command_line = system.command_line.clone();
            Files::Direct { kernel: system.kernel.clone(), archive, command_line }
        }
        Boot::Iso | Boot::Uefi => {
            let file = folder.path().join("orbital.iso");
            let bochs = options.machine == Machine::Bochs;
            image::write(system, if bochs { Screen::Text } else { Screen::Any }, &file)?;
            Files::Image(file)
        }
    };
    let (mut command, pipe) = match (&files, options.machine) {
        (Files::Image(image), Machine::Bochs) => {
            let pipe = SerialPipe::create(folder.path())?;
            (bochs::command(options, image, &pipe, folder.path())?, Some(pipe))
        }
        _ => (qemu::command(options, &files, console)?, None),
    };
    command.stdin(match console {
        Console::Terminal | Console::Input => Stdio::inherit(),
        Console::Output => Stdio::null(),
    });
    // Before the machine runs, so that no signal is lost in between.
    let interrupted = interrupted();
    let terminal = terminal::Restore::later();
    let mut child =
        process::spawn(&mut command).map_err(Failure::of(command.get_program().display()))?;
    let (stdout, complaints) = (read(child.stdout.take()), read(child.stderr.take()));
    let (serial, messages) = match &pipe {
        Some(pipe) => (read(Some(pipe.reader())), Some(stdout)),
        None => (stdout, None),
    };
    Ok(Running {
        child,
        serial,
        complaints,
        _messages: messages,
        deadline: options.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
        pipe,
        console,
        interrupted,
        tail: Tail::default(),
        _files: folder,
        _terminal: terminal,
    })
}

/// Whether the options go together.
///
/// # Errors
/// [`Status::Usage`](crate::Status::Usage) when they do not.
pub fn check(options: &RunOptions) -> Result<(), Failure> {
    let wrong = match (options.machine, options.boot) {
        (Machine::Microvm, Boot::Iso | Boot::Uefi) => "--machine microvm needs --boot direct",
        (Machine::Bochs, Boot::Uefi | Boot::Direct) => "--machine bochs needs --boot iso",
        (Machine::Bochs, _) if options.icount => "--machine bochs has no --icount",
        (Machine::Bochs, _) if options.gdb => "--machine bochs has no --gdb",
        (Machine::Bochs, _) if options.trace.is_some() => "--machine bochs has no --trace",
        (Machine::Bochs, _) if options.memory > bochs::MOST_MEMORY => {
            "--machine bochs has at most 2048M"
        }
        _ => return Ok(()),
    };
    Err(Failure::usage(wrong))
}

/// Reads a stream in a thread, so that the caller can look at other things meanwhile.
fn read(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver): (Sender<Vec<u8>>, _) = channel();
    std::thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Running {
    /// Copies the serial output to `sink` until the machine ends.
    ///
    /// # Errors
    /// [`Status::Usage`](crate::Status::Usage) when the machine's program refused to start it.
    pub fn watch(&mut self, sink: &mut dyn Write) -> Result<Ending, Failure> {
        loop {
            match self.serial.recv_timeout(TICK) {
                Ok(bytes) => {
                    self.tail.push(&bytes);
                    // A reader that has gone away does not end the machine.
                    let _ = self.write(sink, &bytes);
                }
                Err(RecvTimeoutError::Timeout) => self.release_reader(),
                Err(RecvTimeoutError::Disconnected) => return self.ended(),
            }
            if self.interrupted.load(Relaxed) {
                process::end(&mut self.child);
                return Ok(Ending::Interrupted);
            }
            if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                process::end(&mut self.child);
                return Ok(Ending::TimedOut);
            }
        }
    }

    /// Writes all of `bytes`. Where stdout is the terminal that QEMU has as its stdin, that has made it one that does not wait,
    /// for both.
    fn write(&self, sink: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let written = match bytes {
                [] => sink.flush().map(|()| None),
                _ => sink.write(bytes).map(Some),
            };
            match written {
                Ok(None) => return Ok(()),
                Ok(Some(0)) => return Err(ErrorKind::WriteZero.into()),
                Ok(Some(length)) => bytes = &bytes[length..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && !self.interrupted.load(Relaxed) =>
                {
                    std::thread::sleep(FULL);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A machine that ended before it opened its serial port leaves a reader waiting.
    fn release_reader(&mut self) {
        if let Some(pipe) = &self.pipe
            && !matches!(self.child.try_wait(), Ok(None))
        {
            pipe.release();
        }
    }

    fn ended(&mut self) -> Result<Ending, Failure> {
        let status = self.child.wait().map_err(Failure::of("the machine"))?;
        // Ctrl-C goes to the machine's process too, which may be quicker than our flag's reader.
        if self.interrupted.load(Relaxed) {
            return Ok(Ending::Interrupted);
        }
        let last = self.tail.last_line();
        if self.console == Console::Terminal && last.contains(ENDED_BY_USER) {
            return Ok(Ending::Interrupted);
        }
        if self.pipe.is_some() {
            return Ok(Ending::from_last_line(&last));
        }
        let ending = Ending::from_exit_status(status.code());
        if ending == Ending::NoVerdict && status.code() == Some(1) {
            let complaints: Vec<u8> = self.complaints.iter().flatten().collect();
            let complaints = String::from_utf8_lossy(&complaints);
            let line = complaints.lines().next().unwrap_or("it gave no reason");
            return Err(Failure::usage(format!("QEMU could not start: {line}")));
        }
        Ok(ending)
    }

    /// The last lines of the serial output.
    pub fn tail(&self) -> &Tail {
        &self.tail
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            process::end(&mut self.child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_a_shell_unless_something_else_is_asked_for() {
        for (given, expected) in [
            ("", "shell=on"),
            ("log=debug", "shell=on log=debug"),
            ("shell=off", "shell=off"),
            ("exec=\"ps; caps\" log=debug", "exec=\"ps; caps\" log=debug"),
            ("test=panic", "test=panic"),
        ] {
            assert_eq!(command_line(given, Console::Terminal), expected);
            assert_eq!(command_line(given, Console::Output), given);
        }
    }
}
