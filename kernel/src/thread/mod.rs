//! Threads: the TCB, its states, and the leaf waits that stand in it.

pub mod queue;
pub mod registers;
pub mod state;
pub mod tcb;
pub mod wait;

pub use queue::TcbQueue;
pub use registers::Current;
pub use state::{BlockReason, Outcome, ThreadId};
pub use tcb::Tcb;
pub use wait::{Claim, Phase};
