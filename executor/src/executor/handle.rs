//! A task that was spawned, for who may want to cancel it.

use core::{marker::PhantomData, ptr::NonNull};

use super::stored::{core_of, release, retain};
#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::task::TaskHeader;

/// Names a task of this thread's executor. Dropping it changes nothing: the task runs on.
///
/// Like the [`Owner`](super::Owner) it stays on its thread: cancelling drops the future.
pub struct TaskHandle {
    task: NonNull<TaskHeader>,
    _not_send: PhantomData<*mut ()>,
}

impl TaskHandle {
    /// A handle with a reference of its own.
    ///
    /// # Safety
    /// `task` is alive, and its owner is the calling thread.
    pub(super) unsafe fn new(task: NonNull<TaskHeader>) -> Self {
        // SAFETY: the caller's.
        unsafe { retain(task) };
        Self { task, _not_send: PhantomData }
    }

    /// Whether its future was ready, or it was cancelled.
    pub fn is_done(&self) -> bool {
        // SAFETY: the handle's reference keeps the task alive.
        unsafe { core_of(self.task) }.header.is_done()
    }

    /// Ends the task, and drops its future at once. False when it is done already, or is just being
    /// polled: a task can't cancel itself.
    pub fn cancel(&self) -> bool {
        // SAFETY: as above.
        let core = unsafe { core_of(self.task) };
        if !core.header.cancel() {
            return false;
        }
        // SAFETY: this is the owner's thread, where the future belongs; this call ended the task
        // while nobody polled it. The reference is the executor's.
        unsafe {
            (core.functions.drop_future)(self.task);
            core.home().finished.increment();
            release(self.task);
        }
        #[cfg(loom)]
        if planted(Bug::CancelReleasesTwice) {
            // SAFETY: it is not: that is the mistake.
            unsafe { release(self.task) };
        }
        true
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        // SAFETY: the handle's reference, which is given up.
        unsafe { release(self.task) };
    }
}
