//! The process server: [`protocol::processes`](crate::protocol::processes).
//!
//! Programs are its children, and what they use is part of what it may use itself. A program gets the right to log, what came
//! with the question, and nothing else. A thread waits for the end of each.
//!
//! | module | what |
//! |---|---|
//! | `given` | what a program gets of what came |
//! | `programs` | those that run, and those that have ended and were not waited for |
#![forbid(unsafe_code)]

mod given;
mod programs;

use alloc::{string::ToString, sync::Arc};
use core::mem::ManuallyDrop;

use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, IpcError, Process, Reply, Rights, Thread,
    abi::{arguments::NAME_BYTES, bootstrap::COMMAND_LINE_BYTES},
    capability::{Capability, copy_to},
    program::Archive,
    rpc::{self, Call},
    spawn::{Child, Spawn},
    start::bootstrap,
    sync::Mutex,
    thread::{DEFAULT_PRIORITY, JoinHandle, spawn_with_priority},
};

use crate::{
    number::number,
    protocol::{
        RIGHT_BITS, may,
        processes::{Answer, KILL, LIST, Program, Question, START},
    },
};
use given::given;
use programs::{Programs, Run, Seen};

/// What a program may use for which nothing is said: frames, and bytes of kernel memory.
const USUAL: (u64, u64) = (512, 128 * 1024);

/// Serves `endpoint` with the programs of `archive`.
///
/// # Errors
/// As [`rpc::serve`].
pub fn serve(endpoint: &Endpoint, archive: Archive) -> Result<(), IpcError> {
    let own = ManuallyDrop::new(Thread::from_slot(bootstrap().thread));
    let priority = own.inspect().map_or(DEFAULT_PRIORITY, |seen| seen.priority);
    let server = Server { archive, priority, programs: Arc::default() };
    rpc::serve(endpoint, |call| server.answer(call))
}

struct Server {
    archive: Archive,
    /// Its own: it sees to ends at this one, and programs start with no higher one.
    priority: u8,
    programs: Arc<Mutex<Programs>>,
}

impl Server {
    fn answer(&self, call: Call<Question>) -> rpc::Answer<Answer> {
        // Threads that have seen an end have theirs: what they used is given back.
        let done = self.programs.lock().take_done();
        for waiter in done {
            let _ = waiter.join();
        }
        let client = call.badge >> RIGHT_BITS;
        let may = |right| may(call.badge, right);
        match call.question {
            Question::Start(program) if may(START) => {
                rpc::Answer::Reply(self.start(client, &program, &call.capabilities))
            }
            Question::Wait(id) if may(START) || may(KILL) => self.wait(id, client, may(KILL)),
            Question::Kill(id) if may(KILL) => rpc::Answer::Reply(self.kill(id)),
            Question::List if may(LIST) => {
                rpc::Answer::Reply(Answer::Programs(self.programs.lock().list()))
            }
            _ => rpc::Answer::Reply(Answer::NotAllowed),
        }
    }

    fn start(&self, client: u64, program: &Program, came: &[Capability]) -> Answer {
        let Some(file) = self.archive.find(&program.name) else { return Answer::Unknown };
        if program.arguments.len() > COMMAND_LINE_BYTES {
            return Answer::Failed("its arguments are too long".into());
        }
        let given = match given(&program.given, came) {
            Ok(given) => given,
            Err(reason) => return Answer::Failed(reason),
        };
        let or_usual = |wanted, usual| if wanted == 0 { usual } else { wanted };
        let frames = or_usual(program.frames, USUAL.0);
        let kernel_bytes = or_usual(program.kernel_bytes, USUAL.1);
        // A file's name may be longer than a process's.
        let name = &program.name[..program.name.floor_char_boundary(NAME_BYTES)];
        let mut spawn = Spawn::new(name)
            .arguments(&program.arguments)
            .priority(DEFAULT_PRIORITY.min(self.priority))
            .quota(frames, kernel_bytes)
            .system(Rights::LOG);
        for given in &given {
            spawn = spawn.grant_as(given.name, given.slot, given.rights, 0);
        }
        let started = spawn
            .prepare(file)
            .map_err(|error| error.to_string())
            .and_then(|child| self.begin(client, program, child).map_err(|it| it.to_string()));
        started.map_or_else(Answer::Failed, Answer::Started)
    }

    /// Lets a program run. It is known, and its end is waited for, before it can come.
    fn begin(&self, client: u64, program: &Program, child: Child) -> Result<u64, Error> {
        let id = number(&child.process);
        let begun = self.watch(id, child.process.slot()).and_then(|waiter| {
            let thread =
                Thread::from_slot(copy_to(child.thread.slot(), CapSlot::NULL, Rights::MANAGE, 0)?);
            Ok((waiter, thread))
        });
        let (waiter, thread) = begun.inspect_err(|_| {
            // It has a capability to itself.
            let _ = child.process.kill();
        })?;
        let run = Run { name: program.name.clone(), client, child, waiter };
        self.programs.lock().add(id, run);
        thread.start().inspect_err(|_| {
            self.programs.lock().kill(id);
        })?;
        Ok(id)
    }

    /// A thread that waits for the end of the process in `slot`, which stays open so long.
    fn watch(&self, id: u64, slot: CapSlot) -> Result<JoinHandle<()>, Error> {
        let programs = Arc::clone(&self.programs);
        spawn_with_priority(self.priority, move || {
            let process = ManuallyDrop::new(Process::from_slot(slot));
            let reason = process.wait().unwrap_or(ExitReason::Killed).encode();
            let waiting = programs.lock().end(id, reason);
            let answered = waiting.into_iter().map(|it| rpc::answer(it, &Answer::Ended(reason)));
            if answered.filter(Result::is_ok).count() > 0 {
                programs.lock().forget(id);
            }
        })
    }

    fn wait(&self, id: u64, client: u64, may_others: bool) -> rpc::Answer<Answer> {
        let mut programs = self.programs.lock();
        match programs.look_up(id) {
            None => rpc::Answer::Reply(Answer::Unknown),
            Some(seen) if seen.client != client && !may_others => {
                rpc::Answer::Reply(Answer::NotAllowed)
            }
            Some(Seen { ended: Some(reason), .. }) => {
                programs.forget(id);
                rpc::Answer::Reply(Answer::Ended(reason))
            }
            Some(_) => {
                if let Ok(reply) = Reply::keep() {
                    programs.wait(id, reply);
                }
                rpc::Answer::Later
            }
        }
    }

    /// One that has ended needs no more.
    fn kill(&self, id: u64) -> Answer {
        if self.programs.lock().kill(id) { Answer::Done } else { Answer::Unknown }
    }
}
