//! Lines from where the serial port can't be locked: a non-maskable interrupt may come while its
//! CPU holds that lock. They wait in a bounded queue for a task that writes them.
//!
//! Each source of lines is in the queue once at most, however often it has something to say, and
//! there are fewer sources than places. So the queue is never full. That is more than thrift: a push
//! into the place of a pop that is half done waits for its end, and who has interrupted it would
//! wait for ever. A place is used again only after the queue has gone all the way round.
#![forbid(unsafe_code)]

use core::{
    future::poll_fn,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::Poll,
};

use conquer_once::spin::OnceCell;
use crossbeam_queue::ArrayQueue;
use futures_util::task::AtomicWaker;
use orbital_executor::yield_now;

const LINES: usize = 64;

static QUEUE: OnceCell<ArrayQueue<&'static Deferred>> = OnceCell::uninit();
static DRAIN: AtomicWaker = AtomicWaker::new();
static LOST: AtomicU64 = AtomicU64::new(0);

/// A source of lines: who can't lock can't format either, so what waits is the function that logs.
#[derive(Debug)]
pub struct Deferred {
    write: fn(),
    waits: AtomicBool,
}

impl Deferred {
    /// One whose lines are written by `write`, which says all that there is to say by then.
    pub const fn new(write: fn()) -> Self {
        Self { write, waits: AtomicBool::new(false) }
    }

    /// Asks for a line. From anywhere, without waiting and without memory.
    pub fn defer(&'static self) {
        if !self.waits.swap(true, Ordering::Relaxed)
            && QUEUE.get().is_none_or(|queue| queue.push(self).is_err())
        {
            self.waits.store(false, Ordering::Relaxed);
            LOST.fetch_add(1, Ordering::Relaxed);
        }
        DRAIN.wake();
    }

    fn write(&self) {
        // From here on there may be something new.
        self.waits.store(false, Ordering::Relaxed);
        (self.write)();
    }
}

/// Makes the queue; lines that come before are lost. After the heap is there.
pub fn init_deferred() {
    QUEUE.init_once(|| ArrayQueue::new(LINES));
}

/// Writes queued lines for ever: a task of the kernel's own.
pub async fn drain() {
    loop {
        let line = poll_fn(|context| {
            // Register, then check.
            DRAIN.register(context.waker());
            let line = QUEUE.get().and_then(ArrayQueue::pop);
            line.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        line.write();
        let lost = LOST.swap(0, Ordering::Relaxed);
        if lost > 0 {
            log::warn!("{lost} lines were lost");
        }
        // A line takes its time, and there may always be another one.
        yield_now().await;
    }
}
