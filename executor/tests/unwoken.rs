//! A poller that does not wait for a wake: in which states of the task it may go on.

use std::{
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use orbital_executor::task::{AfterPoll, TaskHeader, TaskVtable};

#[repr(C)]
struct Counted {
    header: TaskHeader,
    queued: AtomicUsize,
}

fn schedule(task: NonNull<TaskHeader>) {
    // SAFETY: every header with this vtable starts a `Counted`, which its test keeps.
    unsafe { task.cast::<Counted>().as_ref() }.queued.fetch_add(1, Relaxed);
}

static VTABLE: TaskVtable =
    TaskVtable { schedule: |task| schedule(task), retain: |_| (), release: |_| () };

impl Counted {
    fn new() -> Self {
        // SAFETY: it starts a `Counted`.
        Self { header: unsafe { TaskHeader::new(&VTABLE) }, queued: AtomicUsize::new(0) }
    }

    /// Wakes it; how often it was queued since it was made.
    fn wake(&self) -> usize {
        // SAFETY: the pointer is for all of it, and it lives.
        unsafe { TaskHeader::wake(NonNull::from(self).cast()) };
        self.queued.load(Relaxed)
    }
}

#[test]
fn an_idle_task_is_polled_without_a_wake_as_often_as_one_likes() {
    let task = Counted::new();
    for _ in 0..3 {
        assert!(task.header.start_unwoken());
        assert!(!task.header.start_unwoken(), "it is being polled");
        assert_eq!(task.header.finish_poll(), AfterPoll::Idle);
    }
    assert_eq!(task.wake(), 1, "it was on no queue");
}

#[test]
fn a_task_that_stands_on_its_queue_is_not_started_without_it() {
    let task = Counted::new();
    assert_eq!(task.wake(), 1);
    assert!(!task.header.start_unwoken());
    assert!(task.header.start_poll(), "its wake is still good");
    assert_eq!(task.header.finish_poll(), AfterPoll::Idle);
    assert!(task.header.start_unwoken(), "it is idle again");
}

#[test]
fn a_wake_during_a_poll_that_began_without_one_is_remembered() {
    let task = Counted::new();
    assert!(task.header.start_unwoken());
    assert_eq!(task.wake(), 0, "its poller queues it");
    assert!(!task.header.start_unwoken(), "it is being polled");
    assert_eq!(task.header.finish_poll(), AfterPoll::Requeue);
    assert!(!task.header.start_unwoken(), "it counts as queued");
    assert!(task.header.start_poll());
}

#[test]
fn a_task_that_is_done_or_cancelled_is_not_started() {
    let (done, cancelled) = (Counted::new(), Counted::new());
    assert!(done.header.start_unwoken());
    assert!(!done.header.cancel(), "it is being polled");
    done.header.complete();
    assert!(cancelled.header.cancel());
    for task in [done, cancelled] {
        assert!(!task.header.start_unwoken());
        assert_eq!(task.wake(), 0);
    }
}
