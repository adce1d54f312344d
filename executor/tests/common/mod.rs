//! What several test files need.
#![forbid(unsafe_code)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    cell::RefCell,
    fmt::Debug,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use orbital_executor::executor::{Executor, Owner, Task, TaskHandle};

/// How often something is to be done under stress: `full` with `ORBITAL_SOAK` in the environment,
/// a tenth of it otherwise.
pub fn stress(full: usize) -> usize {
    if std::env::var_os("ORBITAL_SOAK").is_some() { full } else { full / 10 }
}

/// An executor of its own for one test: tasks want it `'static`.
pub fn executor() -> Owner {
    own(Executor::new())
}

/// The owner of `executor`.
pub fn own(executor: Executor) -> Owner {
    Box::leak(Box::new(executor)).claim(0).expect("it is new")
}

/// Runs `future` as a task.
pub fn spawn(executor: Owner, future: impl Future<Output = ()> + 'static) -> TaskHandle {
    executor.spawn(Box::pin(Task::new(future)))
}

/// What happened, in its order.
pub struct Trace<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Trace<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Debug + PartialEq> Trace<T> {
    pub fn new() -> Self {
        Self(Rc::default())
    }

    pub fn note(&self, event: T) {
        self.0.borrow_mut().push(event);
    }

    /// What happened since the last time.
    pub fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// A place where a task leaves its waker.
#[derive(Clone, Default)]
pub struct WakerPlace(Rc<RefCell<Option<Waker>>>);

impl WakerPlace {
    pub fn put(&self, waker: &Waker) {
        self.0.replace(Some(waker.clone()));
    }

    pub fn get(&self) -> Waker {
        self.try_get().expect("the task has not been polled yet")
    }

    pub fn try_get(&self) -> Option<Waker> {
        self.0.borrow().clone()
    }

    pub fn clear(&self) {
        self.0.take();
    }
}

/// Spawns a task that notes `name` each time it is polled, and never ends; its waker.
pub fn spawn_noting(
    executor: Owner,
    trace: &Trace<&'static str>,
    name: &'static str,
) -> WakerPlace {
    let (place, trace) = (WakerPlace::default(), trace.clone());
    let shared = place.clone();
    spawn(
        executor,
        poll_fn(move |context| {
            trace.note(name);
            shared.put(context.waker());
            Poll::Pending
        }),
    );
    place
}

/// A waker that counts how often it is woken.
#[derive(Default)]
pub struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A future that is polled by hand, with a waker of its own.
pub struct ByHand<F> {
    pub future: Pin<Box<F>>,
    wakes: Arc<Counter>,
}

impl<F: Future> ByHand<F> {
    pub fn new(future: F) -> Self {
        Self { future: Box::pin(future), wakes: Arc::default() }
    }

    pub fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(self.wakes.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// How often it was woken.
    pub fn wakes(&self) -> usize {
        self.wakes.0.load(SeqCst)
    }

    /// What its wakers share.
    pub fn counter(&self) -> Arc<Counter> {
        self.wakes.clone()
    }

    /// How many wakers it has given away that still exist.
    pub fn wakers(&self) -> usize {
        Arc::strong_count(&self.wakes) - 1
    }
}
