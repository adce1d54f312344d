//! A task in memory: its header, its future, and who still knows of it.
//!
//! A spawned task has a reference of its executor's, which is given up when the task is done or
//! cancelled; one of the queue it stands on; and one for each waker and each
//! [`TaskHandle`](super::TaskHandle). Whoever gives up the last one frees it, on whatever CPU. By
//! then its future is gone: that was dropped by the owner.

use alloc::boxed::Box;
use core::{
    marker::PhantomData,
    mem::offset_of,
    pin::Pin,
    ptr::NonNull,
    task::{Context, Poll},
};

use super::{ready::Place, shared::Executor};
#[cfg(loom)]
use crate::planted::{Bug, planted};
use crate::{
    sync::{AtomicUsize, Ordering, UnsafeCell},
    task::{TaskHeader, TaskVtable},
};

/// A future with its task header: what an executor runs.
#[repr(C)]
pub struct Task<F> {
    core: TaskCore,
    future: UnsafeCell<Option<F>>,
}

/// Owned memory that a task lies in, pinned, and in which it is freed when the last reference is gone.
///
/// # Safety
/// `into_raw` gives a pointer to a task that nobody else has, and that stays there until `free`.
pub unsafe trait Storage<F> {
    /// Gives the task away.
    fn into_raw(self) -> NonNull<Task<F>>;

    /// Ends the task and frees its memory.
    ///
    /// # Safety
    /// `task` came out of `into_raw` of this type, is freed once, and nobody uses it any more.
    unsafe fn free(task: NonNull<Task<F>>);
}

// SAFETY: a box owns its content, which is pinned.
unsafe impl<F> Storage<F> for Pin<Box<Task<F>>> {
    fn into_raw(self) -> NonNull<Task<F>> {
        // SAFETY: the future is not moved out of its allocation.
        let task = unsafe { Pin::into_inner_unchecked(self) };
        NonNull::from(Box::leak(task))
    }

    unsafe fn free(task: NonNull<Task<F>>) {
        // SAFETY: the caller's.
        drop(unsafe { Box::from_raw(task.as_ptr()) });
    }
}

/// The functions for tasks of one future in one kind of memory.
struct In<F, S>(PhantomData<(F, S)>);

/// The part of a task whose layout does not depend on its future.
#[repr(C)]
pub(super) struct TaskCore {
    pub header: TaskHeader,
    references: AtomicUsize,
    /// 0 to 255, the greater the more urgent.
    priority: AtomicUsize,
    /// By this it stands on its executor's queue of tasks whose priority has changed.
    changed: TaskHeader,
    /// Its place among those that wait to be polled. The owner's.
    pub place: UnsafeCell<Place>,
    home: Option<&'static Executor>,
    pub functions: &'static Functions,
}

/// What is done with the future. All take a pointer to the whole task.
pub(super) struct Functions {
    /// For who has the right to poll, by the state word.
    pub poll: unsafe fn(NonNull<TaskHeader>, &mut Context<'_>) -> Poll<()>,
    /// Drops the future: for the owner, who has cancelled the task.
    pub drop_future: unsafe fn(NonNull<TaskHeader>),
    /// Frees the task: for who gave up the last reference.
    free: unsafe fn(NonNull<TaskHeader>),
}

static VTABLE: TaskVtable = TaskVtable { schedule, retain, release };

/// For [`TaskCore::changed`]: no waker points to it.
static CHANGED_VTABLE: TaskVtable = TaskVtable {
    schedule: queue_changed,
    // SAFETY: as for the functions of the task that the node is a part of.
    retain: |node| unsafe { retain(task_of(node)) },
    // SAFETY: as above.
    release: |node| unsafe { release(task_of(node)) },
};

/// The task of a [`TaskCore::changed`].
///
/// # Safety
/// `node` is a pointer to all of a task, at that node.
pub(super) unsafe fn task_of(node: NonNull<TaskHeader>) -> NonNull<TaskHeader> {
    // SAFETY: the caller's; a task starts with its core, and that with its header.
    unsafe { node.byte_sub(offset_of!(TaskCore, changed)) }
}

/// Puts the node on its executor's queue.
///
/// # Safety
/// As for [`schedule`].
unsafe fn queue_changed(node: NonNull<TaskHeader>) {
    // SAFETY: the caller's. The queue's reference keeps the task alive.
    unsafe {
        let task = task_of(node);
        let core = core_of(task);
        let (home, urgency) = (core.home(), usize::from(core.priority()) + 1);
        #[cfg(loom)]
        if planted(Bug::ChangeRetainsLate) {
            home.changed.push(node);
            return retain(task);
        }
        retain(task);
        home.changed.push(node);
        home.notify.tell(urgency);
    }
}

/// Gives the task another priority, also where it waits to be polled.
///
/// # Safety
/// As for [`core_of`]; the task was spawned.
pub(super) unsafe fn change_priority(task: NonNull<TaskHeader>, priority: u8) {
    // SAFETY: the caller's. The node is a part of the task, and the pointer is for all of that.
    unsafe {
        core_of(task).set_priority(priority);
        TaskHeader::wake(task.byte_add(offset_of!(TaskCore, changed)));
    }
}

/// The core of a task that is known to be alive.
///
/// # Safety
/// `task` came out of [`Task::into_raw`], and lives as long as the result is used.
pub(super) unsafe fn core_of<'a>(task: NonNull<TaskHeader>) -> &'a TaskCore {
    // SAFETY: a task starts with its core, and that with its header.
    unsafe { task.cast::<TaskCore>().as_ref() }
}

/// Puts the task on its executor's queue.
///
/// # Safety
/// As for [`core_of`]; the transition to queued was the caller's, and the caller has a reference.
pub(super) unsafe fn schedule(task: NonNull<TaskHeader>) {
    // SAFETY: the caller's.
    let core = unsafe { core_of(task) };
    let (home, urgency) = (core.home(), usize::from(core.priority()) + 1);
    home.wakes.fetch_add(1, Ordering::Relaxed);
    #[cfg(loom)]
    if planted(Bug::RetainLate) {
        // SAFETY: it is not: that is the mistake.
        return unsafe {
            home.woken.push(task);
            retain(task);
        };
    }
    #[cfg(loom)]
    if planted(Bug::KickBeforePush) {
        home.notify.tell(urgency);
        // SAFETY: as below.
        return unsafe {
            retain(task);
            home.woken.push(task);
        };
    }
    // SAFETY: called once per transition to queued; the queue's reference keeps the task alive.
    unsafe {
        retain(task);
        home.woken.push(task);
    }
    home.notify.tell(urgency);
}

/// One more reference.
///
/// # Safety
/// As for [`core_of`].
pub(super) unsafe fn retain(task: NonNull<TaskHeader>) {
    // SAFETY: the caller's.
    unsafe { core_of(task) }.references.fetch_add(1, Ordering::Relaxed);
}

/// One reference less.
///
/// # Safety
/// As for [`core_of`]; the caller gives up a reference that it has.
pub(super) unsafe fn release(task: NonNull<TaskHeader>) {
    // SAFETY: the caller's reference keeps the task alive until it is subtracted.
    let (before, free) = unsafe {
        let core = core_of(task);
        let free = core.functions.free;
        (core.subtract_reference(), free)
    };
    debug_assert!(before != 0, "used after it was freed");
    if before == 1 {
        // SAFETY: that was the last reference.
        unsafe { free(task) };
    }
}

/// Makes the task at least so urgent, also where it waits to be polled.
///
/// # Safety
/// As for [`change_priority`].
pub(super) unsafe fn raise_priority(task: NonNull<TaskHeader>, priority: u8) {
    #[cfg(loom)]
    if planted(Bug::RaiseStores) {
        // SAFETY: the caller's.
        unsafe {
            if core_of(task).priority() < priority {
                change_priority(task, priority);
            }
        }
        return;
    }
    // SAFETY: the caller's. The node is a part of the task, and the pointer is for all of that.
    unsafe {
        let before = core_of(task).priority.fetch_max(priority.into(), Ordering::Relaxed);
        if before < priority.into() {
            TaskHeader::wake(task.byte_add(offset_of!(TaskCore, changed)));
        }
    }
}

impl TaskCore {
    /// How urgent it is.
    pub fn priority(&self) -> u8 {
        // Only bytes are stored.
        self.priority.load(Ordering::Relaxed) as u8
    }

    /// That its priority has changed, and where it stands on the queue for that.
    pub fn changed(&self) -> &TaskHeader {
        &self.changed
    }

    fn set_priority(&self, priority: u8) {
        self.priority.store(priority.into(), Ordering::Relaxed);
    }

    /// Whose task it is.
    pub fn home(&self) -> &'static Executor {
        self.home.expect("a task is spawned before it is woken")
    }

    /// How many references there were.
    fn subtract_reference(&self) -> usize {
        let order = Ordering::AcqRel;
        #[cfg(loom)]
        let order = if planted(Bug::ReleaseRelaxed) { Ordering::Relaxed } else { order };
        #[cfg(loom)]
        if planted(Bug::ReleaseStores) {
            let before = self.references.load(Ordering::Acquire);
            self.references.store(before - 1, Ordering::Release);
            return before;
        }
        self.references.fetch_sub(1, order)
    }
}

impl<F: Future<Output = ()> + 'static, S: Storage<F>> In<F, S> {
    const FUNCTIONS: Functions = Functions {
        poll: |task, context| {
            // SAFETY: `task` starts a `Task<F>`, which is alive.
            let task = unsafe { task.cast::<Task<F>>().as_ref() };
            task.future.with_mut(|future| {
                // SAFETY: only who has the right to poll touches the future.
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
        drop_future: |task| {
            // SAFETY: as above.
            let task = unsafe { task.cast::<Task<F>>().as_ref() };
            // SAFETY: the task was cancelled while nobody polled it, by the caller.
            task.future.with_mut(|future| unsafe { *future = None });
        },
        free: |task| {
            let task = task.cast::<Task<F>>();
            // Through the cell, where loom checks that this comes after the last poll.
            // SAFETY: nobody else knows of the task: the last reference is gone.
            unsafe { task.as_ref() }.future.with_mut(|future| unsafe { *future = None });
            // SAFETY: `into_raw` took the task out of an `S`.
            unsafe { S::free(task) };
        },
    };
}

impl<F: Future<Output = ()> + 'static> Task<F> {
    /// A task that runs `future` once it is spawned, at priority 0: after all that are more urgent.
    pub fn new(future: F) -> Self {
        // SAFETY: the vtable is for headers that start a `Task`, as this one does. It is not woken,
        // and no waker is made, before `into_raw`.
        let header = unsafe { TaskHeader::new(&VTABLE) };
        let references = AtomicUsize::new(1);
        let core = TaskCore {
            header,
            references,
            priority: AtomicUsize::new(0),
            // SAFETY: the vtable is for the nodes of task cores, as this one is.
            changed: unsafe { TaskHeader::new(&CHANGED_VTABLE) },
            place: UnsafeCell::new(Place::new()),
            home: None,
            functions: &In::<F, Pin<Box<Self>>>::FUNCTIONS,
        };
        Self { core, future: UnsafeCell::new(Some(future)) }
    }

    /// The same task with another priority: 0 to 255, the greater the more urgent.
    #[must_use]
    pub fn with_priority(self, priority: u8) -> Self {
        self.core.set_priority(priority);
        self
    }
}

/// Makes a task one of `home`'s, which gets the first reference: a pointer to all of the task.
pub(super) fn into_raw<F: Future<Output = ()> + 'static, S: Storage<F>>(
    task: S,
    home: &'static Executor,
) -> NonNull<TaskHeader> {
    let mut task = task.into_raw();
    // SAFETY: nobody else has it yet.
    let core = unsafe { &mut task.as_mut().core };
    core.home = Some(home);
    core.functions = &In::<F, S>::FUNCTIONS;
    task.cast()
}
