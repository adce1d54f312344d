//! Threads: the TCB, its states, and the leaf waits that stand in it.

pub mod budget;
pub mod control;
mod home;
mod lending;
mod local;
mod owed;
mod page;
pub mod payer;
mod queued_at;
mod ready_queue;
mod reason;
pub mod registers;
mod reserved;
pub mod state;
pub mod tcb;
mod ties;
mod traced;
pub mod wait;
mod waiting_queue;

#[cfg(test)]
mod tests;

pub use home::SLOT_BYTES;
pub use lending::Relent;
pub use local::Segments;
pub use owed::{Found, Holder, Owed, OwedCell};
pub use ready_queue::ReadyQueue;
pub use registers::Current;
pub use state::{BlockReason, Outcome, ThreadId};
pub use tcb::Tcb;
pub use ties::{FaultHandler, Ties};
pub use wait::{Claim, Phase, Sending};
pub use waiting_queue::{FirstWaiting, WaitingQueue};
