//! The kernel task that cleans up in an address space: its process's reaper. Who leaves a change unfinished there, in
//! whatever process, knows no more of it than this.
#![forbid(unsafe_code)]

use core::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};

use orbital_executor::executor::TaskRef;
use spin::Once;

/// The task, and whether it has not seen yet that it was woken.
pub struct Cleaner {
    task: Once<TaskRef>,
    is_woken: AtomicBool,
}

impl Cleaner {
    /// No task so far.
    pub(super) const fn new() -> Self {
        Self { task: Once::new(), is_woken: AtomicBool::new(false) }
    }

    /// This is the task.
    pub fn set(&self, task: TaskRef) {
        self.task.call_once(|| task);
    }

    /// It is at least so urgent from now on.
    pub fn hurry(&self, priority: u8) {
        if let Some(task) = self.task.get() {
            task.raise_priority(priority);
        }
    }

    /// Wakes it.
    pub fn wake(&self) {
        self.is_woken.store(true, Release);
        if let Some(task) = self.task.get() {
            task.wake();
        }
    }

    /// Whether it was woken since this was last asked.
    pub fn take_wake(&self) -> bool {
        self.is_woken.swap(false, Acquire)
    }
}
