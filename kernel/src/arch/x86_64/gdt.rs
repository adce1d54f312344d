//! Segments, the task state segment and the IST stacks of each CPU.

use alloc::boxed::Box;
use core::arch::asm;

use x86_64::{
    PrivilegeLevel, VirtAddr,
    instructions::{
        segmentation::{CS, DS, ES, SS, Segment},
        tables::load_tss,
    },
    structures::gdt::{Descriptor, GlobalDescriptorTable, SegmentSelector},
};

use super::{cpu_area, window};

/// Kernel code.
pub const KERNEL_CODE: u16 = 0x08;
/// Kernel stack.
pub const KERNEL_DATA: u16 = 0x10;
/// User stack and data. `sysretq` wants it right below the code.
pub const USER_DATA: u16 = 0x18 | 3;
/// User code, 64 bits.
pub const USER_CODE: u16 = 0x20 | 3;

/// Size of an IST stack in bytes. It is aligned to its size and ends with the address of its CPU's
/// area, so that a handler finds its CPU from its stack.
pub const IST_BYTES: u64 = 16 * 1024;
/// Bytes at the top of an IST stack that hold the CPU area's address (and keep it aligned).
pub const IST_TOP: u64 = 16;

/// The stacks, by their index in the TSS.
#[derive(Clone, Copy)]
pub enum Ist {
    /// Double fault.
    DoubleFault,
    /// Non-maskable interrupt.
    Nmi,
    /// Machine check.
    MachineCheck,
    /// Single steps and debug registers: these can hit the entry code's first instruction, where
    /// the stack is still the user's.
    Debug,
}

const IST_STACKS: usize = 4;

/// Loads segments and task state on this CPU. After the heap and the window are there.
pub fn init() {
    let cpu = cpu_area::cpu_index();
    let pointer = cpu_area::area(cpu).task_state();
    // SAFETY: this CPU's own, which nobody reads before it is loaded; no thread has run yet.
    let tss = unsafe { &mut *pointer };
    // Stacks start at 1 to catch a handler whose IST was forgotten; slot 0 stays the null stack.
    for stack in 0..IST_STACKS {
        let top = window::map_stack(IST_BYTES) - IST_TOP;
        // SAFETY: the word lies in the stack that was just mapped and that nobody else knows.
        unsafe { (top as *mut u64).write(cpu_area::area(cpu).address()) };
        tss.interrupt_stack_table[stack] = VirtAddr::new(top);
    }

    let mut gdt = Box::new(GlobalDescriptorTable::new());
    gdt.append(Descriptor::kernel_code_segment());
    gdt.append(Descriptor::kernel_data_segment());
    gdt.append(Descriptor::user_data_segment());
    gdt.append(Descriptor::user_code_segment());
    // SAFETY: the area lives for ever.
    let task = gdt.append(unsafe { Descriptor::tss_segment_unchecked(pointer) });
    Box::leak(gdt).load();
    // SAFETY: the selectors name descriptors of the table that was just loaded, which says what
    // these registers need.
    unsafe {
        CS::set_reg(SegmentSelector(KERNEL_CODE));
        SS::set_reg(SegmentSelector::new(KERNEL_DATA >> 3, PrivilegeLevel::Ring0));
        DS::set_reg(SegmentSelector(0));
        ES::set_reg(SegmentSelector(0));
        load_tss(task);
        // After reset the local table has 64 KiB at address 0 (Intel SDM volume 3, table 9-1), where
        // a program could map descriptors of its own, call gates into the kernel among them.
        asm!("lldt {:x}", in(reg) 0u16, options(nostack, nomem, preserves_flags));
    }
}
