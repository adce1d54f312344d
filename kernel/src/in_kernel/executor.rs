//! Tasks and wakers, with the kernel's heap beneath and its interrupts around.
#![forbid(unsafe_code)]

use alloc::{boxed::Box, rc::Rc, vec::Vec};
use core::{
    cell::{Cell, RefCell},
    future::poll_fn,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    task::Poll,
};

use futures_util::task::AtomicWaker;
use kernel::{arch, log, memory::usage};
use orbital_executor::{
    executor::{Executor, Owner, Task},
    wait_queue::WaitQueue,
    yield_now,
};

use super::{
    kernel_test,
    own_stacks::{nmi, wait_for_a_line},
};

/// An executor that only this test polls.
fn executor() -> Owner {
    Box::leak(Box::new(Executor::new())).claim(0).expect("it is new")
}

fn spawn(executor: Owner, future: impl Future<Output = ()> + 'static) {
    executor.spawn(Box::pin(Task::new(future)));
}

/// Polls until nobody has anything to do.
fn run(executor: Owner) {
    for _ in 0..10_000 {
        if !executor.has_work() {
            return;
        }
        executor.poll_ready(8);
    }
    panic!("the tasks never come to rest");
}

kernel_test! {
    /// A task runs, wakes itself, finishes, and its memory comes back.
    fn a_task_runs_to_its_end() {
        let executor = executor();
        let steps = Rc::new(Cell::new(0));
        let used = usage::bytes();
        let own = steps.clone();
        spawn(executor, async move {
            for _ in 0..5 {
                own.set(own.get() + 1);
                yield_now().await;
            }
        });
        assert_eq!(steps.get(), 0, "it is not polled by being spawned");
        for step in 1..=5 {
            assert_eq!(executor.poll_ready(1), 1);
            assert_eq!(steps.get(), step);
        }
        run(executor);
        assert_eq!((executor.finished(), executor.polls()), (1, 6));
        assert_eq!(Rc::strong_count(&steps), 1, "the future is dropped");
        assert_eq!(usage::bytes(), used);
    }
}

kernel_test! {
    /// Tasks take turns in the order in which they were woken.
    fn tasks_take_turns() {
        let executor = executor();
        let trace = Rc::new(RefCell::new(Vec::new()));
        for name in 0..4 {
            let trace = trace.clone();
            spawn(executor, async move {
                for turn in 0..3 {
                    trace.borrow_mut().push((turn, name));
                    yield_now().await;
                }
            });
        }
        run(executor);
        let expected = (0..3).flat_map(|turn| (0..4).map(move |name| (turn, name)));
        assert!(trace.borrow().iter().copied().eq(expected), "{:?}", trace.borrow());
    }
}

kernel_test! {
    /// A wait queue wakes whoever has waited longest, one at a time, and then everyone in order.
    fn wait_queues_wake_in_order() {
        static QUEUE: WaitQueue = WaitQueue::new();
        static TICKETS: AtomicUsize = AtomicUsize::new(0);
        const WAITERS: usize = 20;

        let executor = executor();
        let trace = Rc::new(RefCell::new(Vec::new()));
        let used = usage::bytes();
        for name in 0..WAITERS {
            let trace = trace.clone();
            spawn(executor, async move {
                QUEUE.wait_until(|| {
                    TICKETS.try_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
                }).await;
                trace.borrow_mut().push(name);
            });
        }
        run(executor);
        assert!(trace.borrow().is_empty());
        for name in 0..5 {
            TICKETS.store(1, SeqCst);
            assert!(QUEUE.wake_one());
            run(executor);
            assert_eq!(trace.borrow().last(), Some(&name));
        }
        TICKETS.store(WAITERS, SeqCst);
        QUEUE.wake_all();
        run(executor);
        assert!(trace.borrow().iter().copied().eq(0..WAITERS), "{:?}", trace.borrow());
        assert!(!QUEUE.wake_one(), "nobody is left");
        drop(trace);
        assert!(usage::bytes() <= used, "the tasks are gone");
    }
}

kernel_test! {
    /// An `AtomicWaker` wakes its task once for a wake, and a wake before the wait is not lost.
    fn an_atomic_waker_wakes_its_task() {
        static WAKER: AtomicWaker = AtomicWaker::new();
        static SET: AtomicBool = AtomicBool::new(false);

        let executor = executor();
        let seen = Rc::new(Cell::new(0));
        let own = seen.clone();
        spawn(executor, async move {
            loop {
                poll_fn(|context| {
                    WAKER.register(context.waker());
                    if SET.swap(false, SeqCst) { Poll::Ready(()) } else { Poll::Pending }
                }).await;
                own.set(own.get() + 1);
            }
        });
        SET.store(true, SeqCst);
        WAKER.wake();
        run(executor);
        assert_eq!(seen.get(), 1, "what was set before it first ran");
        for round in 2..10 {
            WAKER.wake();
            run(executor);
            assert_eq!(seen.get(), round - 1, "a wake without anything to see");
            SET.store(true, SeqCst);
            run(executor);
            assert_eq!(seen.get(), round - 1, "nobody polls it without a wake");
            WAKER.wake();
            WAKER.wake();
            run(executor);
            assert_eq!(seen.get(), round);
        }
    }
}

kernel_test! {
    /// An exception's handler wakes the log's task, which writes what the handler could not: one line,
    /// however often the handler ran.
    fn handlers_wake_tasks() {
        let executor = executor();
        spawn(executor, log::drain());
        run(executor);
        for times in [1, 3, 64, 200, 5000] {
            wait_for_a_line();
            let polls = executor.polls();
            let before = arch::nmi::counts().in_kernel;
            for _ in 0..times {
                nmi();
            }
            assert_eq!(arch::nmi::counts().in_kernel, before + times);
            assert!(executor.has_work(), "{times} of them woke nobody");
            run(executor);
            assert_eq!(executor.polls(), polls + 2, "one poll writes a line, the next finds none");
        }
    }
}
