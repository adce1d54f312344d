//! The runtime of Orbital's user programs: what stands between a program and the system calls.
//!
//! | module | what |
//! |---|---|
//! | [`syscall`] | the instruction itself |
//! | [`start`] | [`entry!`](crate::entry), the bootstrap block, the end |
//! | [`mod@print`], [`output`] | [`println!`](crate::println) and [`print!`](crate::print!): to a server of text, or into the system's log |
//! | [`capability`] | the handle that closes on drop, beneath all objects |
//! | [`endpoint`], [`reply`], [`server`] | messages |
//! | [`rpc`] | typed calls: values in messages |
//! | [`message_page`], [`passing`] | long messages, and those that bring capabilities |
//! | [`notification`], [`timer`] | signals, at once and at certain times |
//! | [`io_port`], [`interrupt`] | devices |
//! | [`memory`] | memory objects and mappings; the heap stands on it |
//! | [`sync`] | mutexes, condition variables, semaphores |
//! | [`local`] | what each thread has for itself |
//! | [`task`] | futures, and the executor of a thread |
//! | [`clock`] | time |
//! | [`thread`], [`process`], [`spawn`] | what runs |
//! | [`program`] | the archive of programs that init was given |
//! | [`system`] | shutdown, counters, and all that runs |
//! | [`graph`] | who can reach what, for Graphviz |
//!
//! On the host it compiles too, for its unit tests; there every system call fails.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod capability;
pub mod clock;
pub mod endpoint;
pub mod graph;
#[cfg(target_os = "none")]
mod heap;
mod image;
pub mod interrupt;
pub mod io_port;
pub mod local;
pub mod memory;
pub mod message_page;
pub mod notification;
pub mod output;
#[cfg(target_os = "none")]
mod panic;
pub mod passing;
pub mod print;
pub mod process;
pub mod program;
pub mod reply;
pub mod rpc;
pub mod server;
pub mod spawn;
pub mod start;
pub mod sync;
pub mod syscall;
pub mod system;
pub mod task;
pub mod thread;
pub mod timer;
mod turn;

pub use orbital_abi as abi;
pub use orbital_abi::{
    CapSlot, Error, ExitReason, Fault, FaultKind, IpcError, Message, Received, Rights,
};

pub use endpoint::Endpoint;
pub use interrupt::Interrupt;
pub use io_port::IoPort;
pub use memory::MemoryObject;
pub use message_page::MessagePage;
pub use notification::Notification;
pub use process::Process;
pub use reply::Reply;
pub use thread::Thread;
pub use timer::Timer;
