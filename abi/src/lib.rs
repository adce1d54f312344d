//! What Orbital's kernel and its user programs agree on: syscall numbers, registers, argument
//! structures, messages, capability handles, rights and errors. Both sides build on this crate
//! and on nothing of each other's.
//!
//! The calling convention stands in [`registers`], the system calls in [`syscall`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arguments;
pub mod bootstrap;
pub mod census;
pub mod command_line;
pub mod error;
pub mod exit;
pub mod fault;
pub mod framebuffer;
pub mod kind;
pub mod layout;
pub mod log;
pub mod message;
pub mod registers;
pub mod rights;
pub mod slot;
pub mod statistics;
pub mod syscall;
#[cfg(test)]
mod tests;
pub mod trace;
pub mod waits;

pub use error::{Error, IpcError};
pub use exit::{ExitReason, Fault, FaultKind};
pub use kind::ObjectKind;
pub use message::{Deadline, Message, Received, Tag};
pub use registers::Registers;
pub use rights::Rights;
pub use slot::CapSlot;
pub use syscall::Syscall;
