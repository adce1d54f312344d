//! Tasks, wakers, wake queues and wait queues: the part of an executor that both the kernel and
//! user programs build on. Nothing here knows hardware, allocates on a wake or a wait, or blocks.
//!
//! | module | what |
//! |---|---|
//! | [`task`] | the header of a task: one atomic state word, and what each transition demands |
//! | [`waker`] | `core::task::Waker`s that are pointers to a task header |
//! | [`wake_queue`] | woken tasks, many producers, one consumer |
//! | [`executor`] | polls the tasks of one CPU |
//! | [`slot`] | inline room for one future of any type |
//! | [`wait_queue`] | futures that wait until someone wakes them |
//!
//! An example on the host:
//!
//! ```
//! use orbital_executor::{executor::{Executor, Task}, yield_now};
//!
//! static EXECUTOR: Executor = Executor::new();
//! EXECUTOR.spawn(Box::pin(Task::new(async {
//!     yield_now().await;
//! })));
//! while EXECUTOR.has_work() {
//!     EXECUTOR.poll_ready(16);
//! }
//! assert_eq!(EXECUTOR.finished(), 1);
//! ```
#![no_std]

extern crate alloc;
#[cfg(any(test, loom))]
extern crate std;

pub mod executor;
pub mod slot;
mod sync;
pub mod task;
pub mod wait_queue;
pub mod wake_queue;
pub mod waker;
mod yield_now;

pub use yield_now::yield_now;
