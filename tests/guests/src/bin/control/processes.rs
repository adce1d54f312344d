//! Processes whose threads are stopped or ended one by one.
#![forbid(unsafe_code)]

use guests::{
    bare::{Bare, Program},
    counters::leaves_nothing,
    threads::MIDDLE,
};
use orbital_user::{Error, ExitReason};

use super::{exits, let_run, yields};

/// The kill of a process's only thread is the process's end; of one of two it is not.
pub(super) fn the_last_thread_of_a_process_is_killed() {
    let program = Program::new(yields);
    leaves_nothing(5, || {
        let Bare { process, thread } = program.start(0);
        let second = program.thread(&process, 0, 0, MIDDLE);
        second.start().unwrap();
        let_run();
        thread.kill().unwrap();
        let_run();
        assert_eq!(process.try_wait(), Err(Error::WouldBlock));
        second.kill().unwrap();
        assert_eq!(process.wait(), Ok(ExitReason::Killed));
    });
}

/// A process ends though threads of its are suspended, in every state; killed, and by its own exit.
pub(super) fn a_process_with_suspended_threads_ends() {
    let (spinning, exiting) = (Program::new(yields), Program::new(exits));
    leaves_nothing(5, || {
        for (program, killed) in [(&spinning, true), (&exiting, false)] {
            let Bare { process, thread } = program.prepare(4);
            let others = [(); 4].map(|()| program.thread(&process, 0, 4, MIDDLE));
            others[..3].iter().for_each(|other| other.start().unwrap());
            others[1..].iter().for_each(|other| other.suspend().unwrap());
            thread.start().unwrap();
            if killed {
                let_run();
                process.kill().unwrap();
            }
            let expected = if killed { ExitReason::Killed } else { ExitReason::Exited(4) };
            assert_eq!(process.wait(), Ok(expected));
            for other in &others[1..] {
                assert_eq!(other.wait(), Ok(ExitReason::Killed));
            }
        }
    });
}
