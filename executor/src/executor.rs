//! The executor of one CPU, or of one thread of a program: polls tasks that were woken, first in,
//! first out.

use alloc::boxed::Box;
use core::{
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll},
};

use crate::{
    sync::{AtomicPtr, AtomicU64, AtomicUsize, Ordering, UnsafeCell},
    task::{AfterPoll, TaskHeader, TaskVtable},
    wake_queue::WakeQueue,
    waker::waker_ref,
};

/// A queue of woken tasks and counters. Tasks can be woken from anywhere, but are polled only by
/// who calls [`Executor::poll_ready`], one at a time.
pub struct Executor {
    woken: WakeQueue,
    /// Tasks that were taken off `woken` and not polled yet. The poller's.
    taken: AtomicPtr<TaskHeader>,
    polls: AtomicU64,
    wakes: AtomicU64,
    finished: AtomicU64,
}

/// A future with its task header: what an executor runs.
#[repr(C)]
pub struct Task<F> {
    core: TaskCore,
    future: UnsafeCell<Option<F>>,
}

/// The part of a task whose layout does not depend on its future.
#[repr(C)]
struct TaskCore {
    header: TaskHeader,
    references: AtomicUsize,
    home: AtomicPtr<Executor>,
    functions: &'static Functions,
}

struct Functions {
    poll: unsafe fn(NonNull<TaskCore>, &mut Context<'_>) -> Poll<()>,
    free: unsafe fn(NonNull<TaskCore>),
}

static VTABLE: TaskVtable = TaskVtable { schedule, retain, release };

unsafe fn schedule(task: NonNull<TaskHeader>) {
    // SAFETY: every task with this vtable is a `TaskCore`, which starts with its header.
    let core = unsafe { task.cast::<TaskCore>().as_ref() };
    // SAFETY: `spawn` stored a `'static` executor before the first wake.
    let home = unsafe { &*core.home.load(Ordering::Acquire) };
    home.wakes.fetch_add(1, Ordering::Relaxed);
    // SAFETY: called once per transition to queued; the queue's reference keeps the task alive.
    unsafe {
        retain(task);
        home.woken.push(task);
    }
}

unsafe fn retain(task: NonNull<TaskHeader>) {
    // SAFETY: as in `schedule`.
    unsafe { task.cast::<TaskCore>().as_ref() }.references.fetch_add(1, Ordering::Relaxed);
}

unsafe fn release(task: NonNull<TaskHeader>) {
    let core = task.cast::<TaskCore>();
    // SAFETY: as in `schedule`; the caller gives up a reference.
    unsafe {
        let task = core.as_ref();
        if task.references.fetch_sub(1, Ordering::AcqRel) == 1 {
            (task.functions.free)(core);
        }
    }
}

impl<F: Future<Output = ()> + 'static> Task<F> {
    const FUNCTIONS: Functions = Functions {
        poll: |core, context| {
            // SAFETY: `core` starts a `Task<F>`.
            let task = unsafe { core.cast::<Self>().as_ref() };
            task.future.with_mut(|future| {
                // SAFETY: only the poller touches the future.
                let future = unsafe { &mut *future };
                let Some(pinned) = future else { return Poll::Ready(()) };
                // SAFETY: it is pinned by the task's own allocation.
                let result = unsafe { Pin::new_unchecked(pinned) }.poll(context);
                if result.is_ready() {
                    *future = None;
                }
                result
            })
        },
        free: |core| {
            // SAFETY: `spawn` took the task out of a `Box`, and the last reference is gone.
            let task = unsafe { Box::from_raw(core.cast::<Self>().as_ptr()) };
            // Through the cell, where loom checks that this comes after the last poll.
            // SAFETY: nobody else knows of the task.
            task.future.with_mut(|future| unsafe { *future = None });
        },
    };

    /// A task that runs `future` once it is spawned.
    pub fn new(future: F) -> Self {
        Self {
            core: TaskCore {
                header: TaskHeader::new(&VTABLE),
                references: AtomicUsize::new(1),
                home: AtomicPtr::new(core::ptr::null_mut()),
                functions: &Self::FUNCTIONS,
            },
            future: UnsafeCell::new(Some(future)),
        }
    }
}

impl Executor {
    /// An executor without tasks.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self {
            woken: WakeQueue::new(),
            taken: AtomicPtr::new(core::ptr::null_mut()),
            polls: AtomicU64::new(0),
            wakes: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        }
    }

    /// An executor without tasks.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self {
            woken: WakeQueue::new(),
            taken: AtomicPtr::new(core::ptr::null_mut()),
            polls: AtomicU64::new(0),
            wakes: AtomicU64::new(0),
            finished: AtomicU64::new(0),
        }
    }

    /// Runs `task`, from the next [`Executor::poll_ready`] on. Its memory is freed when it is done
    /// and its last waker is gone.
    pub fn spawn<F: Future<Output = ()> + 'static>(&'static self, task: Pin<Box<Task<F>>>) {
        // SAFETY: the task is not moved out of its allocation.
        let task = NonNull::from(Box::leak(unsafe { Pin::into_inner_unchecked(task) }));
        // SAFETY: the task lives until its last reference is released; the first one is the
        // executor's and is released when the future is done.
        let core = unsafe { task.cast::<TaskCore>().as_ref() };
        core.home.store(core::ptr::from_ref(self).cast_mut(), Ordering::Release);
        core.header.wake();
    }

    /// Whether a task waits to be polled.
    pub fn has_work(&self) -> bool {
        !self.taken.load(Ordering::Relaxed).is_null() || !self.woken.is_empty()
    }

    /// Polls up to `budget` tasks, in the order in which they were woken; how many it polled. A
    /// task that is woken meanwhile waits until those before it had their turn. For one poller at
    /// a time.
    pub fn poll_ready(&self, budget: usize) -> usize {
        for polled in 0..budget {
            let Some(task) = self.take_one() else { return polled };
            self.poll_one(task);
        }
        budget
    }

    fn take_one(&self) -> Option<NonNull<TaskHeader>> {
        if self.taken.load(Ordering::Relaxed).is_null() {
            let first = self.woken.take_all().next();
            let first = first.map_or(core::ptr::null_mut(), NonNull::as_ptr);
            self.taken.store(first, Ordering::Relaxed);
        }
        let task = NonNull::new(self.taken.load(Ordering::Relaxed))?;
        // SAFETY: taken tasks are kept alive by the queue's reference.
        let next = unsafe { task.as_ref() }.next.load(Ordering::Relaxed);
        self.taken.store(next, Ordering::Relaxed);
        Some(task)
    }

    fn poll_one(&self, task: NonNull<TaskHeader>) {
        // SAFETY: the queue's reference, which is released below, keeps the task alive.
        let core = unsafe { task.cast::<TaskCore>().as_ref() };
        if core.header.start_poll() {
            self.polls.fetch_add(1, Ordering::Relaxed);
            let waker = waker_ref(&core.header);
            // SAFETY: the state word gave this call the right to poll.
            let result =
                unsafe { (core.functions.poll)(task.cast(), &mut Context::from_waker(&waker)) };
            match result {
                Poll::Ready(()) => {
                    core.header.complete();
                    self.finished.fetch_add(1, Ordering::Relaxed);
                    // SAFETY: the first reference, which `Task::new` counted.
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

    /// How many polls there were.
    pub fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// How many wakes queued a task.
    pub fn wakes(&self) -> u64 {
        self.wakes.load(Ordering::Relaxed)
    }

    /// How many tasks are done.
    pub fn finished(&self) -> u64 {
        self.finished.load(Ordering::Relaxed)
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}
