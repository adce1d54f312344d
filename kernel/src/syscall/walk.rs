//! A walk through the threads of all processes, in steps, for calls that tell of one after the other.
#![forbid(unsafe_code)]

use orbital_executor::yield_now;

use crate::{
    object::AnyRef,
    process::{Process, all},
    thread::Tcb,
};

/// How many threads and processes one step looks at.
const STEP: usize = 32;

/// Counts what was looked at.
pub(super) struct Steps(usize);

impl Steps {
    /// Nothing was.
    pub(super) const fn new() -> Self {
        Self(0)
    }

    /// One thing more was; others have their turn now and then.
    pub(super) async fn pause(&mut self) {
        self.0 += 1;
        if self.0.is_multiple_of(STEP) {
            yield_now().await;
        }
    }
}

/// The first thread behind the one with these two numbers, its process's and its own, of which `describe` has something
/// to say.
pub(super) async fn next_thread<T>(
    process: u64,
    thread: u64,
    describe: impl Fn(&Process, &Tcb) -> Option<T>,
) -> Option<T> {
    let (mut from, mut behind) = (process, thread);
    let mut steps = Steps::new();
    loop {
        let process = all::at_or_after(from)?;
        if process.id != from {
            behind = 0;
        }
        // A walk that others have disturbed begins anew, and passes over those that were told.
        let (mut last, mut is_told) = (behind, false);
        while let Some((object, is_anew)) = process.next_of_walk(last, number) {
            last = number(&object);
            is_told = (is_told || is_anew) && last <= behind;
            if !is_told {
                behind = last;
                if let Ok(thread) = object.get::<Tcb>()
                    && let Some(told) = describe(&process, thread)
                {
                    return Some(told);
                }
            }
            steps.pause().await;
        }
        (from, behind) = (process.id.checked_add(1)?, 0);
        steps.pause().await;
    }
}

fn number(thread: &AnyRef) -> u64 {
    thread.get::<Tcb>().map_or(0, |thread| thread.id.0)
}
