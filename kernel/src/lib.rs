//! The Orbital kernel: one stack per CPU, no kernel threads; what waits inside the kernel is a
//! future. `docs/architecture.md` shows the layers; an import only points down this list.
#![cfg_attr(target_os = "none", no_std)]
#![cfg_attr(target_os = "none", feature(rust_preserve_none_cc))]

extern crate alloc;

pub mod arch;
pub mod boot;
pub mod capability;
pub mod cause;
pub mod fault;
pub mod framebuffer;
pub mod io_port;
pub mod ipc;
pub mod irq;
pub mod loader;
pub mod lock;
pub mod log;
pub mod log_listener;
pub mod memory;
pub mod object;
pub mod percpu;
pub mod process;
pub mod reap;
pub mod revoke;
pub mod sched;
pub mod shutdown;
pub mod symbols;
pub mod syscall;
pub mod system;
pub mod thread;
pub mod trace;
pub mod vm;
pub mod watch;

#[cfg(target_os = "none")]
mod panic;
pub mod self_test;

#[cfg(test)]
mod tests;
