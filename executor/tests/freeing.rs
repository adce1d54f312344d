//! Tasks are freed once, and not before the last waker is gone. The allocator below watches: tasks
//! whose future is aligned to [`WATCHED`] bytes are counted.

mod common;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use common::{WakerPlace, executor, spawn};
use orbital_executor::{executor::Task, yield_now};

/// An alignment that nothing else in the process asks for.
const WATCHED: usize = 256;

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
    static FREED: Cell<usize> = const { Cell::new(0) };
}

struct Watch;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() == WATCHED {
            ALLOCATED.set(ALLOCATED.get() + 1);
        }
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if layout.align() == WATCHED {
            FREED.set(FREED.get() + 1);
            // Late reads of the state or of the count find nonsense instead of what was there.
            // SAFETY: the caller gives the memory up.
            unsafe { pointer.write_bytes(0xDD, layout.size()) };
        }
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watch = Watch;

fn memory() -> (usize, usize) {
    (ALLOCATED.get(), FREED.get())
}

/// A future that is pending `pending` times and leaves its waker at `place`.
#[repr(align(256))]
struct Watched {
    pending: usize,
    place: WakerPlace,
    drops: Rc<Cell<usize>>,
}

impl Future for Watched {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        assert_eq!(&raw const *self as usize % WATCHED, 0, "the future is not aligned");
        self.place.put(context.waker());
        if self.pending == 0 {
            return Poll::Ready(());
        }
        self.pending -= 1;
        Poll::Pending
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.drops.set(self.drops.get() + 1);
    }
}

fn watched(pending: usize) -> (Watched, WakerPlace, Rc<Cell<usize>>) {
    let (place, drops) = (WakerPlace::default(), Rc::new(Cell::new(0)));
    (Watched { pending, place: place.clone(), drops: drops.clone() }, place, drops)
}

#[test]
fn a_done_task_is_freed_once_when_its_last_waker_goes() {
    let executor = executor();
    let (future, place, drops) = watched(1);
    spawn(executor, future);
    assert_eq!(memory(), (1, 0));
    executor.poll_ready(16);
    let another = place.get();
    place.get().wake();
    executor.poll_ready(16);
    assert_eq!(drops.get(), 1, "the future goes as soon as it is ready");
    assert_eq!(memory(), (1, 0), "two wakers still point to the task");
    place.clear();
    assert_eq!(memory(), (1, 0), "a waker still points to the task");
    another.wake();
    assert_eq!((drops.get(), memory()), (1, (1, 1)));
}

#[test]
fn a_done_task_without_wakers_is_freed_at_once() {
    let executor = executor();
    let (future, place, drops) = watched(0);
    let clearing = place.clone();
    spawn(executor, async move {
        future.await;
        clearing.clear();
    });
    executor.poll_ready(16);
    assert_eq!((drops.get(), memory()), (1, (1, 1)));
    assert!(!executor.has_work());
}

#[test]
fn a_task_that_nobody_can_wake_is_kept() {
    // The executor's own reference is given up when the task is done, and this one never is.
    let executor = executor();
    let (future, place, drops) = watched(usize::MAX);
    spawn(executor, future);
    executor.poll_ready(16);
    place.clear();
    executor.poll_ready(16);
    assert_eq!((drops.get(), memory()), (0, (1, 0)));
}

#[test]
fn a_task_that_was_never_spawned_drops_its_future() {
    let (future, _, drops) = watched(1);
    drop(Box::pin(Task::new(future)));
    assert_eq!((drops.get(), memory()), (1, (1, 1)));
}

#[test]
fn many_tasks_are_each_freed_once() {
    const TASKS: usize = 500;
    let executor = executor();
    let counts: Vec<_> = (0..TASKS)
        .map(|number| {
            let (future, place, drops) = watched(0);
            spawn(executor, async move {
                for _ in 0..number % 7 {
                    yield_now().await;
                }
                future.await;
                place.clear();
            });
            drops
        })
        .collect();
    while executor.has_work() {
        executor.poll_ready(13);
    }
    assert!(counts.iter().all(|drops| drops.get() == 1));
    assert_eq!(memory(), (TASKS, TASKS));
    assert_eq!(executor.finished(), TASKS as u64);
}

#[test]
fn a_task_that_wakes_itself_from_its_futures_drop_is_freed_once() {
    struct WakesOnDrop(Watched);
    impl Future for WakesOnDrop {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            Pin::new(&mut self.0).poll(context)
        }
    }
    impl Drop for WakesOnDrop {
        fn drop(&mut self) {
            self.0.place.get().wake();
            self.0.place.clear();
        }
    }
    let executor = executor();
    let (future, _, drops) = watched(0);
    spawn(executor, WakesOnDrop(future));
    assert_eq!(executor.poll_ready(16), 1);
    assert!(!executor.has_work());
    assert_eq!((drops.get(), memory()), (1, (1, 1)));
}
