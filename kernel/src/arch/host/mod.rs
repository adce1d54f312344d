//! A machine that is simulated in a host process: the same list as the real one's, so that the
//! kernel above it runs in unit tests, whole. What a CPU has (its time, its timer, its interrupts,
//! its registers, its serial line) stands in variables of the host thread that plays it; physical
//! memory is one for all, as the kernel's own globals are.
//!
//! | who | how it comes to play a CPU |
//! |---|---|
//! | a test of the kernel's globals or its dispatcher | [`machine()`]: CPU 0, and by [`play`] others; one host thread at a time |
//! | any other host thread | a CPU number of its own, at its first need |
//!
//! Nothing waits and nothing looks at the host's clock: a run is the same every time. Where the
//! real machine would wait for ever, or end, the kernel's stack is unwound with a [`Stop`].

pub mod backtrace;
pub mod boot;
mod chain;
pub mod clock;
mod context;
mod cpu;
pub mod debug_console;
pub mod direct_map;
pub mod entry;
pub mod fpu;
pub mod idle;
mod leaf;
pub mod lines;
mod machine;
pub mod nmi;
pub mod paging;
pub mod port;
pub mod power;
pub mod race;
pub mod segments;
pub mod serial;
mod stop;
pub mod timer;
mod user_copy;

pub use boot::{init_descriptors, init_memory, init_timer, init_user_entry};
pub use context::SavedRegisters;
pub use cpu::{
    MACHINE_CPUS, OUTSIDE, cpu_count, cpu_count_locked, cpu_index, cpu_index_locked,
    current_registers, kick, play, playing, set_count, set_current, start_others, stop_others,
};
pub use direct_map::{is_own_device, physical_end};
pub use entry::{enter_user, without_words};
pub(crate) use entry::{quick_call, quick_message};
pub use fpu::FpuState;
pub use leaf::LeafTable;
pub use lines::init as init_lines;
pub use machine::{Machine, machine};
pub use paging::{PageTables, Root, tags};
pub use port::is_own_port;
pub use segments::UserSegments;
pub use stop::{Stop, run};
pub use user_copy::copy_from_user;

/// A random number: a simulated machine has none.
pub fn random() -> Option<u64> {
    None
}
