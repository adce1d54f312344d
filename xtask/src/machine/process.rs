//! A machine's process, which must not outlive this one.

use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, getpid, getppid},
};

/// How long a machine may take to end when asked.
const GRACE: Duration = Duration::from_secs(2);

/// Starts `command`, which the kernel of the host kills when the calling thread ends, in whatever
/// way.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let parent = getpid();
    let die_with_parent = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent can have ended before that was set.
        if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: the closure makes two system calls and takes no lock and no memory, so it may run
    // between fork and exec.
    unsafe { command.pre_exec(die_with_parent) };
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

/// Ends the process: asks it first, then forces it.
pub fn end(child: &mut Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // An error means that it is gone already.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}
