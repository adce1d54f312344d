//! Programs of the archive: started, waited for, ended.
#![forbid(unsafe_code)]

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Right;

/// May start programs, and wait for those that it has started.
pub const START: Right = ("start", 1);
/// May end programs and wait for programs that others have started.
pub const KILL: Right = ("kill", 2);
/// May list programs.
pub const LIST: Right = ("list", 4);
/// All rights.
pub const RIGHTS: &[Right] = &[START, KILL, LIST];

/// What a client asks. Programs are named by the kernel's number of their process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Start a program. It gets the capabilities that come with this, as [`Program::given`] says.
    Start(Program),
    /// How it ends: answered when it has. It is forgotten then.
    Wait(u64),
    /// End it.
    Kill(u64),
    /// All that run, or have ended and were not waited for.
    List,
}

/// A program and what it may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its file in the archive.
    pub name: String,
    /// Its command line.
    pub arguments: String,
    /// Frames of 4 KiB; 0 for what is usual.
    pub frames: u64,
    /// Bytes of kernel memory; 0 for what is usual.
    pub kernel_bytes: u64,
    /// By which names it finds the capabilities that come with the question, in their order: up to 16 bytes each, none of
    /// them zero, all different. What is called [`OUTPUT`](orbital_user::output::OUTPUT) it can send to and no more; the others
    /// keep their rights. Each keeps its badge.
    pub given: Vec<String>,
}

/// A program that runs or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub id: u64,
    /// Its file in the archive.
    pub name: String,
    /// How it has ended, if it has: an [`ExitReason`](orbital_user::ExitReason) as
    /// [`encode`](orbital_user::ExitReason::encode) gives it.
    pub ended: Option<[u64; 4]>,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// It runs, with this number.
    Started(u64),
    /// It has ended so.
    Ended([u64; 4]),
    /// All of them.
    Programs(Vec<Entry>),
    /// No such file, or no such process among those that this service has started.
    Unknown,
    /// The program could not be started: why.
    Failed(String),
    /// The badge lacks the right.
    NotAllowed,
}
