//! The Orbital kernel: one stack per CPU, no kernel threads; what waits inside the kernel is a
//! future. `docs/architecture.md` shows the layers; an import only points down this list.
#![cfg_attr(target_os = "none", no_std)]

extern crate alloc;

pub mod arch;
pub mod boot;
pub mod percpu;
pub mod log;
pub mod symbols;
pub mod memory;
pub mod object;
pub mod capability;
pub mod vm;
pub mod process;
pub mod thread;
pub mod sched;
pub mod ipc;
pub mod system;
pub mod reap;
pub mod loader;
pub mod fault;
pub mod shutdown;
pub mod syscall;

#[cfg(target_os = "none")]
mod panic;
pub mod self_test;

#[cfg(test)]
mod tests;
