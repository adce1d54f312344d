//! The programs that the process server has started.
#![forbid(unsafe_code)]

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use orbital_user::{Reply, spawn::Child, thread::JoinHandle};

use crate::{protocol::processes::Entry, waiting::Waiting};

/// How many ends are kept that nobody has waited for yet: the latest.
const MOST_ENDED: usize = 256;

/// All programs that run, or have ended and were not waited for.
#[derive(Default)]
pub(super) struct Programs {
    all: BTreeMap<u64, State>,
    /// Those that have ended, the oldest first; some are forgotten already.
    ended: Vec<u64>,
    waiting: Waiting<u64>,
    /// Threads that have seen an end.
    done: Vec<JoinHandle<()>>,
}

/// A program that runs.
pub(super) struct Run {
    /// Its file in the archive.
    pub(super) name: String,
    /// Who has started it.
    pub(super) client: u64,
    pub(super) child: Child,
    /// The thread that waits for its end.
    pub(super) waiter: JoinHandle<()>,
}

enum State {
    Runs(Run),
    Ended { name: String, client: u64, reason: [u64; 4] },
}

/// What is known of one.
pub(super) struct Seen {
    /// Who has started it.
    pub(super) client: u64,
    /// How it has ended, if it has.
    pub(super) ended: Option<[u64; 4]>,
}

impl State {
    fn see(&self) -> Seen {
        match self {
            Self::Runs(run) => Seen { client: run.client, ended: None },
            Self::Ended { client, reason, .. } => Seen { client: *client, ended: Some(*reason) },
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Runs(Run { name, .. }) | Self::Ended { name, .. } => name,
        }
    }
}

impl Programs {
    /// One more.
    pub(super) fn add(&mut self, id: u64, run: Run) {
        self.all.insert(id, State::Runs(run));
    }

    /// What is known of it.
    pub(super) fn look_up(&self, id: u64) -> Option<Seen> {
        self.all.get(&id).map(State::see)
    }

    /// Keeps a call that waits for its end.
    pub(super) fn wait(&mut self, id: u64, reply: Reply) {
        self.waiting.add(id, reply);
    }

    /// It has ended: gives the calls that wait for that.
    pub(super) fn end(&mut self, id: u64, reason: [u64; 4]) -> Vec<Reply> {
        if let Some(State::Runs(Run { name, client, child, waiter })) = self.all.remove(&id) {
            drop(child);
            self.done.push(waiter);
            self.all.insert(id, State::Ended { name, client, reason });
            self.ended.retain(|ended| self.all.contains_key(ended));
            self.ended.push(id);
            if self.ended.len() > MOST_ENDED {
                self.all.remove(&self.ended.remove(0));
            }
        }
        self.waiting.take(&id).collect()
    }

    /// Its end is known to who wanted to know it.
    pub(super) fn forget(&mut self, id: u64) {
        self.all.remove(&id);
    }

    /// Ends it; false where there is no such program.
    pub(super) fn kill(&mut self, id: u64) -> bool {
        if let Some(State::Runs(run)) = self.all.get(&id) {
            // It may be ending already.
            let _ = run.child.process.kill();
        }
        self.all.contains_key(&id)
    }

    /// Threads to be joined: they have nothing to do any more.
    pub(super) fn take_done(&mut self) -> Vec<JoinHandle<()>> {
        core::mem::take(&mut self.done)
    }

    /// All of them.
    pub(super) fn list(&self) -> Vec<Entry> {
        let entry = |(id, state): (&u64, &State)| Entry {
            id: *id,
            name: state.name().into(),
            ended: state.see().ended,
        };
        self.all.iter().map(entry).collect()
    }
}
