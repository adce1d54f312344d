//! What the entry code must reach on each CPU with one instruction: the structure that GS points
//! to while the kernel runs.

use core::{
    cell::UnsafeCell,
    mem::offset_of,
    sync::atomic::{AtomicPtr, AtomicU64, Ordering::Relaxed},
};

use x86_64::{VirtAddr, registers::model_specific::GsBase, structures::tss::TaskStateSegment};

use super::context::SavedRegisters;
use crate::percpu::MAX_CPUS;

/// One CPU's area. The entry code knows the offsets below.
#[repr(C, align(64))]
pub struct CpuArea {
    /// Where the kernel's stack starts on entry.
    stack_top: AtomicU64,
    /// The registers of the thread that runs, where the entry code stores them.
    current: AtomicPtr<SavedRegisters>,
    /// Where the system-call entry keeps the user's stack pointer for a moment.
    scratch: UnsafeCell<u64>,
    index: AtomicU64,
    /// Where the entry code puts the user's four selectors side by side, to look at them.
    selectors: UnsafeCell<u64>,
    /// Its first stack pointer says at whose end the CPU pushes an interrupt's frame.
    task_state: UnsafeCell<TaskStateSegment>,
}

// SAFETY: only the CPU that the area belongs to touches `scratch` and `selectors`, in the entry code, and `task_state`, before its
// first thread and by `set_current`, all with interrupts off; the other fields are atomics.
unsafe impl Sync for CpuArea {}

/// Offset of the stack pointer.
pub const STACK_TOP: usize = offset_of!(CpuArea, stack_top);
/// Offset of the pointer to the current thread's registers.
pub const CURRENT: usize = offset_of!(CpuArea, current);
/// Offset of the scratch word.
pub const SCRATCH: usize = offset_of!(CpuArea, scratch);
/// Offset of the word for selectors.
pub const SELECTORS: usize = offset_of!(CpuArea, selectors);
/// Offset of the CPU's index.
pub const INDEX: usize = offset_of!(CpuArea, index);

/// Offset of the task state's stack pointer for interrupts from user mode.
const INTERRUPT_STACK: usize =
    offset_of!(CpuArea, task_state) + offset_of!(TaskStateSegment, privilege_stack_table);

static AREAS: [CpuArea; MAX_CPUS] = [const {
    CpuArea {
        stack_top: AtomicU64::new(0),
        current: AtomicPtr::new(core::ptr::null_mut()),
        scratch: UnsafeCell::new(0),
        index: AtomicU64::new(0),
        selectors: UnsafeCell::new(0),
        task_state: UnsafeCell::new(TaskStateSegment::new()),
    }
}; MAX_CPUS];

/// The area of CPU `index`.
pub fn area(index: usize) -> &'static CpuArea {
    &AREAS[index]
}

impl CpuArea {
    /// Makes this the area of the CPU that calls, which runs on the stack below `stack_top`.
    pub fn install(&'static self, index: usize, stack_top: u64) {
        self.index.store(index as u64, Relaxed);
        self.stack_top.store(stack_top, Relaxed);
        GsBase::write(VirtAddr::from_ptr(self));
    }

    /// The task state, for its CPU alone.
    pub fn task_state(&self) -> *mut TaskStateSegment {
        self.task_state.get()
    }

    /// The address of this area, which the IST stacks carry.
    pub fn address(&'static self) -> u64 {
        core::ptr::from_ref(self) as u64
    }
}

/// Where the entry code of this CPU stores the next thread's registers, and the CPU its frame when it interrupts
/// that.
#[inline]
pub fn set_current(registers: *mut SavedRegisters) {
    // SAFETY: this CPU's own area. The entry code reads it, and the CPU the task state, on an entry from user mode,
    // which can't happen now.
    unsafe {
        core::arch::asm!("mov gs:[{current}], {}", "mov gs:[{interrupt_stack}], {}",
            in(reg) registers, in(reg) registers.wrapping_add(1),
            current = const CURRENT, interrupt_stack = const INTERRUPT_STACK,
            options(nostack, preserves_flags));
    }
}

/// The index of the CPU that calls, below [`MAX_CPUS`].
#[inline]
pub fn cpu_index() -> usize {
    let index: u64;
    // SAFETY: in the kernel GS points to this CPU's area from `install` on; before it, GS is 0 and
    // the load would fault, so `install` is the first thing that the start-up code does. `pure` and
    // `nomem`: what is asked on one stack has one answer, since no stack changes its CPU, and the area's
    // index is never written again; so a function need ask but once.
    unsafe {
        core::arch::asm!("mov {}, gs:[{offset}]", out(reg) index, offset = const INDEX,
            options(pure, nomem, nostack, preserves_flags));
    }
    // SAFETY: `install` was given an index below `MAX_CPUS`. It does not come from user space.
    unsafe { core::hint::assert_unchecked(index < MAX_CPUS as u64) };
    index as usize
}
