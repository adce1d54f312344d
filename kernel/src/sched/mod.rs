//! Who runs: run queues, the dispatcher, and the one place where a thread starts to wait.

mod balance;
pub mod block;
mod budget;
pub mod clock;
mod cpu;
pub mod cpu_time;
pub mod direct;
pub mod dispatch;
mod heir;
pub mod in_turn;
pub mod irq_off;
mod place;
mod requests;
pub mod run_queue;
mod sleepers;
mod tasks;
pub mod timers;
mod wake;
mod woken;

#[cfg(test)]
mod tests;

pub use block::{Completion, block};
pub use dispatch::{current, init};
pub use heir::leave_slice_to;
pub use place::settle;
pub use tasks::{spawn, spawn_asleep_in};
pub use wake::{leave_for_dispatcher, set_short_cuts, switch_fast_path_off};
