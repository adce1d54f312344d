//! Lines from where the serial port can't be locked: a non-maskable interrupt may come while its
//! CPU holds that lock. They wait in a bounded queue for a task that writes them; when it is full,
//! they are counted and the count is logged.
#![forbid(unsafe_code)]

use core::{
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    task::Poll,
};

use conquer_once::spin::OnceCell;
use crossbeam_queue::ArrayQueue;
use futures_util::task::AtomicWaker;
use log::Level;

const LINES: usize = 64;

/// A line whose text is known when the kernel is built: who can't lock can't format either.
type Line = (Level, &'static str, &'static str);

static QUEUE: OnceCell<ArrayQueue<Line>> = OnceCell::uninit();
static DRAIN: AtomicWaker = AtomicWaker::new();
static LOST: AtomicU64 = AtomicU64::new(0);

/// Makes the queue; lines that come before are lost. After the heap is there.
pub fn init_deferred() {
    QUEUE.init_once(|| ArrayQueue::new(LINES));
}

/// Queues a line. From anywhere, without waiting and without memory.
pub fn defer(level: Level, module: &'static str, text: &'static str) {
    let queued = QUEUE.get().is_some_and(|queue| queue.push((level, module, text)).is_ok());
    if !queued {
        LOST.fetch_add(1, Relaxed);
    }
    DRAIN.wake();
}

/// Writes queued lines for ever: a task of the kernel's own.
pub async fn drain() {
    loop {
        let (level, module, text) = poll_fn(|context| {
            // Register, then check.
            DRAIN.register(context.waker());
            let line = QUEUE.get().and_then(ArrayQueue::pop);
            line.map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        log::log!(target: module, level, "{text}");
        let lost = LOST.swap(0, Relaxed);
        if lost > 0 {
            log::warn!("{lost} lines were lost");
        }
    }
}
