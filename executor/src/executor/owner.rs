//! The right to poll an executor's tasks.

use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull,
    task::{Context, Poll},
};

use super::{
    handle::TaskHandle,
    shared::Executor,
    stored::{Storage, core_of, into_raw, release, schedule, task_of},
};
#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::{
    sync::Ordering,
    task::{AfterPoll, TaskHeader},
    waker::waker_ref,
};

/// The one who polls an executor's tasks. It can be copied, but not leave its thread.
#[derive(Clone, Copy)]
pub struct Owner {
    executor: &'static Executor,
    _not_send: PhantomData<*mut ()>,
}

impl Executor {
    /// Makes the calling thread the executor's owner, for ever; `None` when it has one. `number`
    /// is what the executor's `tell` is called with from now on, and not `usize::MAX`.
    pub fn claim(&'static self, number: usize) -> Option<Owner> {
        // Once claimed it stays so even if the owner is dropped: its tasks are bound to the thread.
        self.notify.claim(number).then_some(Owner { executor: self, _not_send: PhantomData })
    }

    /// The owner, known to be the caller.
    ///
    /// # Safety
    /// All who use the results of this function and of [`Executor::claim`] do so on one thread. For
    /// a kernel: on one CPU, whose own executor this is, and not from its interrupt handlers.
    pub const unsafe fn assume_owner(&'static self) -> Owner {
        Owner { executor: self, _not_send: PhantomData }
    }

    /// Runs `task`, from anywhere: its future may be polled by another thread than this one. Its
    /// memory is freed when it is done and its last waker is gone.
    pub fn spawn_send<F: Future<Output = ()> + Send + 'static>(
        &'static self,
        task: impl Storage<F>,
    ) {
        self.start(into_raw(task, self));
    }

    /// The first wake of a task that is not known to anyone else yet.
    fn start(&self, task: NonNull<TaskHeader>) {
        self.spawned.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the pointer is for the whole task. Nothing can end the task before the wake has
        // queued it, with a reference of the queue's.
        unsafe { TaskHeader::wake(task) };
    }
}

impl Owner {
    /// Runs `task`, from the next [`Owner::poll_ready`] on. Its memory is freed when it is done and
    /// its last waker is gone. The handle is for who may want to cancel it.
    pub fn spawn<F: Future<Output = ()> + 'static>(self, task: impl Storage<F>) -> TaskHandle {
        let handle = self.spawn_asleep(task);
        handle.to_ref().wake();
        handle
    }

    /// The same, but it is not polled before it is woken: by a [`TaskRef`](super::TaskRef), for nobody has a waker yet.
    /// One that is never woken nor cancelled stays for good.
    pub fn spawn_asleep<F: Future<Output = ()> + 'static>(
        self,
        task: impl Storage<F>,
    ) -> TaskHandle {
        let task = into_raw(task, self.executor);
        self.executor.spawned.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the executor's reference keeps the task alive, and this is its owner's thread.
        unsafe { TaskHandle::new(task) }
    }

    /// Polls up to `budget` tasks, the most urgent first, and equals in the order in which they were
    /// woken; how many it took off the queue. A task that is woken meanwhile waits until its equals
    /// before it had their turn. One that was cancelled while it was queued has its turn, but is not
    /// polled.
    pub fn poll_ready(self, budget: usize) -> usize {
        for polled in 0..budget {
            if !self.poll_first(0) {
                return polled;
            }
        }
        budget
    }

    /// Polls the most urgent task, if its priority is `least` or more; whether there was one.
    pub fn poll_first(self, least: u8) -> bool {
        self.look();
        // SAFETY: this is the owner.
        let Some(task) = (unsafe { self.executor.ready.pop(least) }) else { return false };
        self.poll_one(task);
        true
    }

    /// The priority of the most urgent task that waits to be polled.
    pub fn top(self) -> Option<u8> {
        self.look();
        self.executor.ready.top()
    }

    /// Takes what was woken off the queue, into the order of priorities.
    fn look(self) {
        let Executor { woken, changed, ready, .. } = self.executor;
        if !woken.is_empty() {
            for task in woken.take_all() {
                // SAFETY: this is the owner; the queue's reference keeps the task alive until it is
                // polled.
                unsafe { ready.push(task) };
            }
        }
        // Loom keeps one access of each thing in mind: for it a look by a load would not race with a
        // push, which loads too before it exchanges.
        if cfg!(loom) || !changed.is_empty() {
            changed.take_all().for_each(|node| self.move_changed(node));
        }
    }

    /// Puts a task into its new place.
    fn move_changed(self, node: NonNull<TaskHeader>) {
        // SAFETY: the node came off the queue of changed tasks, whose reference is given up at the end.
        unsafe {
            let task = task_of(node);
            let changed = core_of(task).changed();
            #[cfg(loom)]
            if planted(Bug::ChangeForgotten) {
                self.executor.ready.move_to_priority(task);
                changed.start_poll();
                let _ = changed.finish_poll();
                return release(task);
            }
            // First, so that what is changed from here on queues it again.
            let is_queued = changed.start_poll();
            debug_assert!(is_queued, "a task changed without a transition");
            self.executor.ready.move_to_priority(task);
            if changed.finish_poll() == AfterPoll::Requeue {
                self.executor.changed.push(node);
            } else {
                release(task);
            }
        }
    }

    fn poll_one(self, task: NonNull<TaskHeader>) {
        // SAFETY: the queue's reference, which is released below, keeps the task alive.
        let core = unsafe { core_of(task) };
        if core.header.start_poll() {
            // SAFETY: the pointer is for the whole task, which lives until the release below.
            let waker = unsafe { waker_ref(task) };
            let mut context = Context::from_waker(&waker);
            // SAFETY: the state word gave this call the right to poll, and this is the thread that
            // the future is bound to, if it is bound to one.
            let result = self.measured(|| unsafe { (core.functions.poll)(task, &mut context) });
            match result {
                Poll::Ready(()) => {
                    core.header.complete();
                    self.executor.finished.increment();
                    // SAFETY: the executor's reference.
                    unsafe { release(task) };
                }
                Poll::Pending => {
                    if let AfterPoll::Requeue = core.header.finish_poll() {
                        // SAFETY: the transition was this call's.
                        unsafe { schedule(task) };
                    }
                }
            }
        }
        // SAFETY: the queue's reference.
        unsafe { release(task) };
    }

    /// Counts a poll, and how long it takes if someone wants to know.
    fn measured(self, poll: impl FnOnce() -> Poll<()>) -> Poll<()> {
        self.executor.polls.increment();
        let Some(watch) = self.executor.watch else { return poll() };
        let start = (watch.clock)();
        let result = poll();
        let took = (watch.clock)().saturating_sub(start);
        self.executor.longest_poll.raise_to(took);
        if took > watch.limit {
            self.executor.long_polls.increment();
        }
        result
    }
}

impl Deref for Owner {
    type Target = Executor;

    fn deref(&self) -> &Executor {
        self.executor
    }
}
