//! The x86_64 machine. All assembly and all of the `x86_64` crate stand here.

mod acpi;
mod apic;
pub mod backtrace;
mod boot;
mod chain;
pub mod clock;
mod context;
mod cpu_area;
pub mod debug_console;
pub mod direct_map;
mod entry;
mod features;
mod fpu;
mod gdt;
mod handlers;
pub mod idle;
mod idt;
mod io_apic;
mod kernel_space;
pub mod layout;
mod leaf;
mod leftovers;
pub mod lines;
mod memory;
pub mod nmi;
mod own;
mod paging;
mod pit;
pub mod port;
pub mod power;
mod quick;
mod random;
mod root;
mod segments;
pub mod serial;
mod smp;
mod start;
mod storm;
pub mod timer;
mod trampoline;
mod trap;
mod user_copy;
mod window;

pub use context::SavedRegisters;
pub use cpu_area::{cpu_index, cpu_index as cpu_index_locked};
pub use features::physical_end;
pub use fpu::FpuState;
pub use leaf::LeafTable;
pub use lines::init as init_lines;
pub use memory::init_memory;
pub use own::{is_own_device, is_own_port};
pub use paging::PageTables;
pub use quick::{decline, leave_with_words, leave_without_words};
pub(crate) use quick::{quick_call, quick_message};
pub use random::random;
pub use root::{Root, tags};
pub use segments::UserSegments;
pub use smp::{cpu_count, cpu_count as cpu_count_locked, kick, start_others, stop_others};
pub use user_copy::copy_from_user;

/// Loads this CPU's segments and interrupt table. After the memory is there, whose exceptions
/// until then are a panic's business.
pub fn init_descriptors() {
    gdt::init();
    idt::init();
}

/// Starts this CPU's interrupt controller and measures the time.
pub fn init_timer() {
    apic::init();
    timer::init();
}

/// Lets user programs in: system calls and floating point.
pub fn init_user_entry() {
    entry::init();
    fpu::init();
}

/// Tells the entry code where the registers of the thread that runs next are stored.
#[inline]
pub fn set_current(registers: *mut SavedRegisters) {
    cpu_area::set_current(registers);
}

/// Enters user mode for the first time on this CPU. From then on the entry code does it.
///
/// # Safety
/// `registers` belong to the current thread, as [`set_current`] says, and its address space is
/// loaded. Nothing on the stack is needed any more.
pub unsafe fn enter_user(registers: *mut SavedRegisters) -> ! {
    // SAFETY: the caller's.
    unsafe { entry::leave(registers) }
}
