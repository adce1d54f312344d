//! Processes.
#![forbid(unsafe_code)]

use orbital_user::{ExitReason, spawn::Spawn};

use crate::{
    measure::{FEW, Samples, measure},
    roles,
};

/// A program of three pages from its file to its end: created, loaded, started, ended, collected.
pub fn spawn() -> Samples {
    let file = roles::file("child");
    measure(FEW, || {
        let child = Spawn::new("child").start(file).expect("a process");
        u64::from(child.wait() != Ok(ExitReason::Exited(0)))
    })
}
