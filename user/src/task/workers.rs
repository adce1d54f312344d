//! A pool of threads that wait in the place of tasks: for whatever has no other way than to block.
//!
//! A thread is added when work comes and none is idle, up to [`MOST`]; behind that work waits for its turn. Threads that
//! have nothing to do stay.
#![forbid(unsafe_code)]

use alloc::{boxed::Box, collections::VecDeque, sync::Arc};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use orbital_executor::completion::Completion;

use crate::{
    sync::{Condvar, Mutex},
    thread,
};

/// How many threads there are at the most.
pub const MOST: usize = 64;

/// The priority of threads that are added.
static PRIORITY: AtomicU8 = AtomicU8::new(thread::DEFAULT_PRIORITY);

/// Lets threads that are added from now on have this priority, in place of the usual one. It must not be above that of a
/// thread that waits by them.
pub fn set_priority(priority: u8) {
    PRIORITY.store(priority, Relaxed);
}

type Work = Box<dyn FnOnce() + Send>;

struct Pool {
    work: VecDeque<Work>,
    threads: usize,
    /// Those that wait for work and were given none.
    idle: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { work: VecDeque::new(), threads: 0, idle: 0 });
static HAS_WORK: Condvar = Condvar::new();

/// Runs `f` on a thread of the pool, and waits for what it gives. Where the future is dropped, `f` runs on all the same, and
/// what it gives is dropped.
///
/// # Panics
/// Where there is no memory for the first thread.
pub async fn unblock<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let result = Arc::new(Completion::new());
    let work = Box::new({
        let result = Arc::clone(&result);
        move || {
            // Nobody else completes it.
            let _ = result.complete(f());
        }
    });
    submit(work);
    result.wait().await
}

fn submit(work: Work) {
    let mut pool = POOL.lock();
    pool.work.push_back(work);
    if pool.idle > 0 {
        pool.idle -= 1;
        HAS_WORK.notify_one();
    } else if pool.threads < MOST {
        match thread::spawn_with_priority(PRIORITY.load(Relaxed), serve) {
            Ok(handle) => {
                handle.detach();
                pool.threads += 1;
            }
            Err(error) => assert!(pool.threads > 0, "no thread to wait in a task's place: {error}"),
        }
    }
}

/// A thread of the pool.
fn serve() {
    loop {
        let mut pool = POOL.lock();
        let work = loop {
            match pool.work.pop_front() {
                Some(work) => break work,
                None => {
                    pool.idle += 1;
                    pool = HAS_WORK.wait(pool);
                }
            }
        };
        drop(pool);
        work();
    }
}
