//! Futures in a program: each thread has an executor ([`orbital_executor`], the same as the kernel's), which polls the tasks
//! that the thread has spawned while it is in [`block_on`].
//!
//! ```text
//!   block_on ──► polls its own future, tasks that were woken, timers ──► nothing to do: rests
//!      ▲                                                                     │
//!      └───────────── a signal of the executor's notification ◄──────────────┘
//! ```
//! | what a task waits for | how |
//! |---|---|
//! | a time: [`sleep`], [`timeout`] | the executor's timer queue; the thread rests until the first deadline |
//! | a signal: [`Signal`] | a bit of the executor's notification, which timers, interrupts and other processes signal |
//! | a message, an answer, a process's end, anything that blocks: [`receive`], [`question`], [`call`], [`ended`], [`unblock`] | a thread of the [pool](workers) waits in the task's place |
//!
//! A task stays on its thread, so its future need not be `Send`; wakers may be used from anywhere.

mod ends;
mod executor;
mod messages;
mod signal;
mod signals;
pub mod workers;

pub use ends::ended;
pub use executor::{block_on, sleep, sleep_until, spawn, timeout};
pub use messages::{call, question, receive};
pub use orbital_executor::timer::Elapsed;
pub use signal::Signal;
pub use workers::unblock;
