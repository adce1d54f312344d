//! Who runs: run queues, the dispatcher, and the one place where a thread starts to wait.

pub mod block;
pub mod dispatch;
pub mod run_queue;

#[cfg(test)]
mod tests;

pub use block::{Completion, block};
pub use dispatch::{current, init, spawn};
