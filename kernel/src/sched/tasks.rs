//! Tasks of the kernel's own: what belongs to no thread. Each has a priority, by which the dispatcher
//! chooses between them and threads. With equals they take turns: a few polls, then a thread for a
//! while.

use alloc::boxed::Box;
use core::{cell::Cell, ptr::NonNull};

use orbital_abi::Error;
use orbital_executor::executor::{Storage, Task, TaskRef};

use super::wake;
use crate::{
    memory::heap,
    object::{Paid, Quota, Ref},
};

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

/// The same, in the memory of `quota`, which pays for it; asleep, at priority 0, until it is woken.
///
/// # Errors
/// [`Error::QuotaExceeded`].
pub fn spawn_asleep_in(
    quota: &Ref<Quota>,
    future: impl Future<Output = ()> + 'static,
) -> Result<TaskRef, Error> {
    let task = Paid::new_with(quota, || Task::new(future))?;
    Ok(wake::executor().spawn_asleep(Stored(task)).to_ref())
}

/// A task in a quota's memory.
struct Stored<F>(Paid<Task<F>>);

// SAFETY: a `Paid` owns its content, which is moved no more once it is given away.
unsafe impl<F> Storage<F> for Stored<F> {
    fn into_raw(self) -> NonNull<Task<F>> {
        self.0.into_raw()
    }

    unsafe fn free(task: NonNull<Task<F>>) {
        // SAFETY: the caller's.
        drop(unsafe { Paid::from_raw(task) });
    }
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
