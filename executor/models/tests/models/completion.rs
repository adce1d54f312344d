//! A task's end, with wakes that race with it: the future is dropped once, and the task is freed
//! once, by whoever is the last to know it.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    ptr::NonNull,
    rc::Rc,
    sync::{Mutex, atomic},
    task::{Context, Poll, Waker},
};

use executor_loom::{
    executor::{Executor, Task},
    task::{AfterPoll, TaskHeader, TaskVtable},
    wake_queue::WakeQueue,
    waker::waker_ref,
};
use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::{
    explore::{Model, RACE, with_static},
    watch,
};

/// Gives its waker away, is pending once and then ready. The alignment is [`watch::WATCHED`].
#[repr(align(1024))]
struct Twice {
    polled: bool,
    place: Rc<RefCell<Option<Waker>>>,
    drops: Rc<Cell<usize>>,
}

impl Future for Twice {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.polled, true) {
            return Poll::Ready(());
        }
        self.place.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Twice {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

/// The real executor, and its copies.
trait Runs: 'static {
    fn new() -> Self;
    fn spawn(&'static self, future: Twice);
    /// Polls one task, if one is queued.
    fn poll(&'static self) -> bool;
    /// How many tasks were freed.
    fn freed(&self) -> usize;
}

struct Real {
    executor: Executor,
    freed_before: usize,
}

impl Runs for Real {
    fn new() -> Self {
        Self { executor: Executor::new(), freed_before: watch::freed() }
    }

    fn spawn(&'static self, future: Twice) {
        let task = Box::pin(Task::new(future));
        assert_eq!(align_of_val(&*task), watch::WATCHED);
        self.executor.spawn(task);
    }

    fn poll(&'static self) -> bool {
        self.executor.poll_ready(1) == 1
    }

    fn freed(&self) -> usize {
        watch::freed() - self.freed_before
    }
}

/// A copy of what the executor does with a task's references, around the real header and queue.
struct Copy<const BUG: u8> {
    queue: WakeQueue,
    freed: atomic::AtomicUsize,
    task: Mutex<Option<Box<CopiedTask<BUG>>>>,
}

#[repr(C)]
struct CopiedTask<const BUG: u8> {
    header: TaskHeader,
    references: AtomicUsize,
    home: &'static Copy<BUG>,
    future: UnsafeCell<Option<Twice>>,
}

const NO_BUG: u8 = 0;
/// The queue's reference is counted after the task has been queued.
const RETAINS_LATE: u8 = 1;
/// The count is read and then stored.
const RELEASE_STORES: u8 = 2;
/// The last release does not see what happened before the others.
const RELEASE_RELAXED: u8 = 3;

impl<const BUG: u8> CopiedTask<BUG> {
    const VTABLE: TaskVtable = TaskVtable {
        schedule: |task| Self::of(task).schedule(),
        retain: |task| Self::of(task).retain(),
        release: |task| Self::of(task).release(),
    };

    fn of<'a>(task: NonNull<TaskHeader>) -> &'a Self {
        // SAFETY: every header with this vtable starts such a task, and the home keeps it.
        let task = unsafe { task.cast::<Self>().as_ref() };
        assert_eq!(task.home.freed.load(atomic::Ordering::SeqCst), 0, "used after it was freed");
        task
    }

    fn schedule(&self) {
        if BUG != RETAINS_LATE {
            self.retain();
        }
        // SAFETY: the header says that it is this call's turn to queue it.
        unsafe { self.home.queue.push(NonNull::from(self).cast()) };
        if BUG == RETAINS_LATE {
            Self::of(NonNull::from(self).cast()).retain();
        }
    }

    fn retain(&self) {
        self.references.fetch_add(1, Ordering::Relaxed);
    }

    fn release(&self) {
        let before = match BUG {
            RELEASE_STORES => {
                let before = self.references.load(Ordering::Acquire);
                self.references.store(before - 1, Ordering::Release);
                before
            }
            RELEASE_RELAXED => self.references.fetch_sub(1, Ordering::Relaxed),
            _ => self.references.fetch_sub(1, Ordering::AcqRel),
        };
        if before == 1 {
            let freed = self.home.freed.fetch_add(1, atomic::Ordering::SeqCst);
            assert_eq!(freed, 0, "freed twice");
            // SAFETY: nobody else knows of the task; if someone does, loom tells.
            self.future.with_mut(|future| unsafe { *future = None });
        }
    }

    fn poll(&self) {
        assert!(self.header.start_poll());
        let waker = waker_ref(&self.header);
        let result = self.future.with_mut(|future| {
            // SAFETY: the header says that it is this call's turn to poll.
            let future = unsafe { &mut *future };
            let result = Pin::new(future.as_mut().unwrap()).poll(&mut Context::from_waker(&waker));
            if result.is_ready() {
                *future = None;
            }
            result
        });
        if result.is_ready() {
            self.header.complete();
            self.release();
        } else if self.header.finish_poll() == AfterPoll::Requeue {
            self.schedule();
        }
    }
}

impl<const BUG: u8> Runs for Copy<BUG> {
    fn new() -> Self {
        Self { queue: WakeQueue::new(), freed: atomic::AtomicUsize::new(0), task: Mutex::default() }
    }

    fn spawn(&'static self, future: Twice) {
        let mut task = self.task.lock().unwrap();
        let task = task.insert(Box::new(CopiedTask {
            header: TaskHeader::new(const { &CopiedTask::<BUG>::VTABLE }),
            references: AtomicUsize::new(1),
            home: self,
            future: UnsafeCell::new(Some(future)),
        }));
        task.header.wake();
    }

    fn poll(&'static self) -> bool {
        let mut any = false;
        for task in self.queue.take_all() {
            any = true;
            let task = CopiedTask::<BUG>::of(task);
            if task.header.is_done() {
                task.release();
            } else {
                task.poll();
                CopiedTask::<BUG>::of(NonNull::from(task).cast()).release();
            }
        }
        any
    }

    fn freed(&self) -> usize {
        self.freed.load(atomic::Ordering::SeqCst)
    }
}

// SAFETY: the model moves no future between threads; wakers reach only what loom watches.
unsafe impl<const BUG: u8> Sync for CopiedTask<BUG> {}
// SAFETY: as above.
unsafe impl<const BUG: u8> Send for CopiedTask<BUG> {}

/// One thread wakes twice and drops its waker, while the task is woken and polled to its end.
fn a_task_is_freed_once<R: Runs>() {
    let (place, drops) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
    let run = |run: &'static R| {
        run.spawn(Twice { polled: false, place: place.clone(), drops: drops.clone() });
        assert!(run.poll());
        let own: Waker = place.take().unwrap();
        let other = own.clone();
        let waker = thread::spawn(move || {
            other.wake_by_ref();
            other.wake();
        });
        own.wake();
        // The other one may have the task's state already and not have pushed it yet: then this
        // finds nothing, and the rest comes after the join.
        run.poll();
        run.poll();
        waker.join().unwrap();
        while run.poll() {}
        assert_eq!(drops.get(), 1, "how often the future was dropped");
        assert_eq!(run.freed(), 1, "how often the task was freed");
    };
    // SAFETY: the thread is joined, the task is done, and no waker is left.
    unsafe { with_static(R::new(), run) };
}

pub fn models() -> Vec<Model> {
    vec![
        Model::holds(
            "a wake that races with a task's end: it is freed once",
            a_task_is_freed_once::<Real>,
        ),
        Model::holds(
            "the copy of the references without a bug",
            a_task_is_freed_once::<Copy<NO_BUG>>,
        ),
        Model::planted(
            "the queue's reference is counted late",
            "used after it was freed",
            a_task_is_freed_once::<Copy<RETAINS_LATE>>,
        ),
        Model::planted(
            "a release that stores",
            "freed",
            a_task_is_freed_once::<Copy<RELEASE_STORES>>,
        ),
        Model::planted(
            "a release that orders nothing",
            RACE,
            a_task_is_freed_once::<Copy<RELEASE_RELAXED>>,
        ),
    ]
}
