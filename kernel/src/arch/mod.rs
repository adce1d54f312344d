//! The machine: everything that the kernel needs of the hardware, in one list. Above this folder
//! nothing names an architecture. On the host the same list stands over simulated hardware, so
//! that the kernel's units and whole runs of it are tested in a process.
//!
//! | what | of it |
//! |---|---|
//! | [`cpu_index`], [`cpu_count`] | which CPU this is, and of how many |
//! | [`cpu_index_locked`], [`cpu_count_locked`] | the same where a lock may be held: no other CPU is simulated meanwhile |
//! | [`kick`], [`start_others`], [`stop_others`] | the other CPUs |
//! | [`SavedRegisters`] | a user thread's registers |
//! | [`quick`] | how the CPU leaves after a quick system call |
//! | [`FpuState`], [`UserSegments`] | its other registers, kept apart |
//! | [`enter_user`], [`set_current`] | leaving the kernel |
//! | [`PageTables`], [`LeafTable`], [`Root`], [`Protection`], [`Translation`] | an address space's tables |
//! | [`is_own_device`], [`is_own_port`], [`physical_end`] | which physical addresses and ports are nobody's |
//! | [`port`], [`lines`] | devices: their ports, and the lines by which they interrupt |
//! | [`direct_map`] | the kernel's view of physical memory |
//! | [`copy_from_user`] | reads of user memory that may fail |
//! | [`idle`] | waiting for interrupts, letting them in |
//! | [`nmi`] | counts of interrupts that nobody can hold back |
//! | [`clock`], [`timer`] | time, and the interrupt that ends a slice |
//! | [`random`] | random numbers, where there are some |
//! | [`serial`], [`power`], [`backtrace`] | the log's way out, the machine's end |
//! | [`debug_console`] | a trace's way out |
//! | `init_memory`, `init_descriptors`, `init_timer`, `init_user_entry`, `init_lines` | the boot order's steps |
//!
//! Entry code calls up by symbol: `kernel_main`, `orbital_syscall`, the [`quick`] calls, and through
//! [`Trap`] `orbital_trap`.

mod page;
pub mod quick;

#[cfg(not(target_os = "none"))]
pub mod host;
#[cfg(target_os = "none")]
pub mod x86_64;

#[cfg(not(target_os = "none"))]
use host as machine;
#[cfg(target_os = "none")]
use x86_64 as machine;

pub use machine::{
    FpuState, LeafTable, PageTables, Root, SavedRegisters, UserSegments, backtrace, clock,
    copy_from_user, cpu_count, cpu_count_locked, cpu_index, cpu_index_locked, debug_console,
    direct_map, enter_user, idle, init_descriptors, init_lines, init_memory, init_timer,
    init_user_entry, is_own_device, is_own_port, kick, lines, nmi, physical_end, port, power,
    random, serial, set_current, start_others, stop_others, tags, timer,
};

pub use page::{Access, Cache, PageSize, Protection, Table, Tag, Translation};

#[cfg(target_os = "none")]
pub use machine::{decline, leave_with_words, leave_without_words};
/// Define what the entry code calls for a quick call, without words and with them.
pub(crate) use machine::{quick_call, quick_message};

/// How many non-maskable interrupts came, by where they hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NmiCounts {
    /// In user mode.
    pub in_user: u64,
    /// In the kernel.
    pub in_kernel: u64,
    /// In the code between both.
    pub in_entry: u64,
    /// How many different instructions of that they hit.
    pub places: u64,
}

impl NmiCounts {
    /// All of them.
    pub fn all(self) -> u64 {
        self.in_user + self.in_kernel + self.in_entry
    }
}

/// Why the kernel was entered, but for system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// The slice's timer.
    Timer,
    /// Another CPU wants this one to look at its queues.
    Kick,
    /// The device on this line wants something. The controller is not told yet: [`lines::taken`].
    Device(u8),
    /// An interrupt that means nothing.
    Spurious,
    /// First use of the floating-point registers since the thread was switched to.
    FpuUnavailable,
    /// The thread touched a page that is not mapped, or not so.
    PageFault(orbital_abi::Fault),
    /// The thread did what it may not.
    Fault(orbital_abi::Fault),
}

/// When a line interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// When it becomes active. While it is masked that is not noticed.
    Edge,
    /// As long as it is active.
    Level,
}
