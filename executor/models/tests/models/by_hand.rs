//! Futures that are polled by hand.
#![forbid(unsafe_code)]

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Wake, Waker},
};

/// A future that waits.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A waker that counts.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A future that is polled by hand, with a waker of its own. `None` once it is ready or dropped.
pub struct ByHand {
    future: Option<Waiting<'static>>,
    wakes: Arc<Counter>,
}

impl ByHand {
    pub fn new(future: Waiting<'static>) -> Self {
        Self { future: Some(future), wakes: Arc::default() }
    }

    pub fn poll(&mut self) {
        let waker = Waker::from(self.wakes.clone());
        let future = self.future.as_mut().unwrap().as_mut();
        if future.poll(&mut Context::from_waker(&waker)).is_ready() {
            self.future = None;
        }
    }

    /// Another future in the place of this one, which is dropped.
    pub fn replace(&mut self, future: Waiting<'static>) {
        self.future = Some(future);
    }

    pub fn is_pending(&self) -> bool {
        self.future.is_some()
    }

    pub fn wakes(&self) -> usize {
        self.wakes.0.load(SeqCst)
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Dropping it would take the lock where it has been found that nobody can.
            std::mem::forget(self.future.take());
        }
    }
}
