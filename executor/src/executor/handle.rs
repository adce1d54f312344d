//! A task that was spawned, for who may want to cancel it.

use core::{marker::PhantomData, ptr::NonNull};

use super::stored::{change_priority, core_of, raise_priority, release, retain};
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

    /// A handle for other threads.
    pub fn to_ref(&self) -> TaskRef {
        // SAFETY: the handle's reference keeps the task alive.
        unsafe { TaskRef::new(self.task) }
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

/// Names a task, for whoever wants it polled. Unlike a waker it may be used anywhere to say how urgent
/// that is. Dropping it changes nothing.
pub struct TaskRef(NonNull<TaskHeader>);

// SAFETY: what it does to the task goes through atomics; who gives up the last reference frees memory
// whose future is gone.
unsafe impl Send for TaskRef {}
// SAFETY: as above.
unsafe impl Sync for TaskRef {}

impl TaskRef {
    /// A handle with a reference of its own.
    ///
    /// # Safety
    /// `task` is alive.
    unsafe fn new(task: NonNull<TaskHeader>) -> Self {
        // SAFETY: the caller's.
        unsafe { retain(task) };
        Self(task)
    }

    /// Makes the task so urgent, 0 to 255. If it waits to be polled, it goes behind those of that
    /// priority when its owner looks next, and the owner is told.
    pub fn set_priority(&self, priority: u8) {
        // SAFETY: this reference keeps the task alive, which was spawned before there were any.
        unsafe { change_priority(self.0, priority) };
    }

    /// Makes the task so urgent if it is less, as [`TaskRef::set_priority`] does. Of several who do so at
    /// once, the most urgent wins.
    pub fn raise_priority(&self, priority: u8) {
        // SAFETY: as above.
        unsafe { raise_priority(self.0, priority) };
    }

    /// Wakes the task.
    pub fn wake(&self) {
        // SAFETY: as above; the pointer is for the whole task.
        unsafe { TaskHeader::wake(self.0) };
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: its reference, which is given up.
        unsafe { release(self.0) };
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        // SAFETY: the handle's reference, which is given up.
        unsafe { release(self.task) };
    }
}
