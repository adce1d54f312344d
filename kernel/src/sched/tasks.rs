//! Tasks of the kernel's own: what belongs to no thread. Each has a priority, by which the dispatcher
//! chooses between them and threads. With equals they take turns: a few polls, then a thread for a
//! while.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use core::cell::Cell;

use orbital_abi::Error;
use orbital_executor::executor::{Task, TaskRef};

use super::wake;
use crate::memory::heap;

/// How long a thread runs while an equal task waits, in nanoseconds.
const THREAD_TURN_NS: u64 = 100_000;
/// How many polls equal tasks have before a thread gets a chance.
const POLLS: usize = 8;

/// Runs `future` as a task of the kernel's own on this CPU, as urgent as a thread of `priority`.
///
/// # Errors
/// [`Error::QuotaExceeded`] without memory.
pub fn spawn(priority: u8, future: impl Future<Output = ()> + 'static) -> Result<TaskRef, Error> {
    let task = Task::new(future).with_priority(priority);
    let task = heap::try_box(task).map_err(|_| Error::QuotaExceeded)?;
    Ok(wake::executor().spawn(Box::into_pin(task)).to_ref())
}

/// Bytes of kernel memory that a task of `future` takes.
pub const fn task_bytes<F>(_future: &F) -> usize {
    size_of::<Task<F>>()
}

/// How tasks and equal threads take turns on one CPU.
pub(super) struct Turns {
    /// Polls that the tasks have left.
    polls: Cell<usize>,
    /// When the tasks' next turn begins, in nanoseconds since boot.
    next: Cell<u64>,
}

impl Turns {
    pub(super) const fn new() -> Self {
        Self { polls: Cell::new(POLLS), next: Cell::new(0) }
    }

    /// When the tasks' next turn begins, in nanoseconds since boot.
    pub(super) fn next(&self) -> u64 {
        self.next.get()
    }

    /// Whether the tasks' turn has come.
    pub(super) fn have_come(&self, now: u64) -> bool {
        now >= self.next.get()
    }

    /// A task was polled.
    pub(super) fn polled(&self, now: u64) {
        let left = self.polls.get().saturating_sub(1);
        self.polls.set(if left == 0 { POLLS } else { left });
        if left == 0 {
            self.next.set(now + THREAD_TURN_NS);
        }
    }
}
