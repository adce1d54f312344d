//! Runs the command as a user would, without a terminal.
#![forbid(unsafe_code)]

pub mod elf;
pub mod monitor;
pub mod person;

use std::{
    io::{BufRead, BufReader, Read},
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use xtask::{build::system::Inputs, cli::SystemOptions, machine::qemu::Files};

/// What a command gave.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self {
            status: output.status.code().expect("an exit status"),
            stdout: text(output.stdout).replace('\r', ""),
            stderr: text(output.stderr),
        }
    }
}

/// The command, without arguments and input.
pub fn xtask() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.stdin(Stdio::null());
    command
}

/// Runs the command to its end.
pub fn run(words: &[&str]) -> Ran {
    xtask().args(words).output().expect("xtask").into()
}

/// An empty folder for the test `name`, always the same: what is built of a package there replaces what
/// was built of it before.
pub fn folder(name: &str) -> PathBuf {
    let folder = xtask::setup::paths::output().join("written").join(name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).expect("the old folder");
    }
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Kernel and archive for QEMU's own loader. The files stay until the host cleans up its folder for
/// temporary files, which tests may do.
pub fn direct() -> Files {
    let system = Inputs::read(&SystemOptions::default()).unwrap().build().unwrap();
    let folder = tempfile::tempdir().unwrap().keep();
    let archive = folder.join("programs.tar");
    std::fs::write(&archive, &system.archive).unwrap();
    Files::Direct { kernel: system.kernel, archive, command_line: system.command_line }
}

/// Whether a line on stderr only says what is going on.
pub fn is_progress(line: &str) -> bool {
    ["building", "making", "installing"]
        .iter()
        .any(|what| line.starts_with(&format!("xtask: {what}")))
}

/// Reads until `line` has come; then goes on reading in the background, so that the writer never has
/// to wait.
pub fn wait_for_line(stream: impl Read + Send + 'static, line: &str) {
    wait_for_line_with(stream, |found| found == line);
}

/// The same for a line of which only a part is known.
pub fn wait_for_line_with(stream: impl Read + Send + 'static, is_it: impl Fn(&str) -> bool) {
    let mut lines = BufReader::new(stream).lines();
    let found = lines.by_ref().any(|found| found.is_ok_and(|found| is_it(found.trim_end())));
    assert!(found, "the line never came");
    std::thread::spawn(move || lines.for_each(drop));
}

/// The processes whose parent is `parent`.
pub fn children_of(parent: u32) -> Vec<u32> {
    let children = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(children).expect("the list of children");
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

/// Waits until the process has ended, as the harness's own time-out allows.
pub fn wait_for_end(process: u32) {
    // Ended and not yet collected counts as ended.
    while std::fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z "))
    {
        std::thread::yield_now();
    }
}

/// Types Ctrl-C.
pub fn interrupt(process: u32) {
    kill(Pid::from_raw(process.try_into().expect("a process number")), Signal::SIGINT)
        .expect("a signal");
}
