//! Segments, task state and interrupt table, as the CPU has them loaded (Intel SDM volume 3, 3.4,
//! 7.14 and 7.7).

use alloc::boxed::Box;

use kernel::arch::{self, SavedRegisters};
use x86_64::{
    instructions::{
        segmentation::{CS, DS, ES, FS, GS, SS, Segment},
        tables::{sgdt, sidt},
    },
    registers::model_specific::{GsBase, Msr},
    structures::tss::TaskStateSegment,
};

use super::{kernel_test, loaded, walk};

/// Exceptions that the architecture leaves undefined.
const RESERVED: [u64; 9] = [9, 15, 22, 23, 24, 25, 26, 27, 31];
const DEBUG: u64 = 1;
const NMI: u64 = 2;
const DOUBLE_FAULT: u64 = 8;
const MACHINE_CHECK: u64 = 18;

const KERNEL_CODE: u16 = 0x08;
const KERNEL_DATA: u16 = 0x10;
const USER_DATA: u16 = 0x18;
const USER_CODE: u16 = 0x20;

const PRESENT: u64 = 1 << 47;
/// Code or data, as opposed to a system segment.
const ORDINARY: u64 = 1 << 44;
const EXECUTABLE: u64 = 1 << 43;
const LONG: u64 = 1 << 53;

fn table_word(base: u64, index: usize) -> u64 {
    // SAFETY: the callers stay within the table's limit, and the CPU would fault without the rest.
    unsafe { (base as *const u64).add(index).read_volatile() }
}

/// The descriptor that a selector names.
fn descriptor(selector: u16) -> u64 {
    let table = sgdt();
    assert!(
        u32::from(selector) + 7 <= table.limit.into(),
        "{selector:#x} is beyond the GDT's limit"
    );
    table_word(table.base.as_u64(), usize::from(selector / 8))
}

fn level(descriptor: u64) -> u64 {
    descriptor >> 45 & 3
}

/// Whether the local table has this descriptor. Reads it where there is a table.
fn has_local(index: u16) -> bool {
    const LOCAL: u16 = 1 << 2;
    let found: u8;
    // SAFETY: asks for a descriptor's rights and loads nothing.
    unsafe {
        core::arch::asm!(
            "lar {rights:e}, {selector:e}",
            "setz {found}",
            rights = out(reg) _,
            selector = in(reg) u32::from(index << 3 | LOCAL),
            found = out(reg_byte) found,
            options(nostack),
        )
    }
    found != 0
}

fn task_register() -> u16 {
    let selector: u16;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("str {:x}", out(reg) selector, options(nomem, nostack)) };
    selector
}

/// A model-specific register that every CPU with long mode has.
pub fn model_specific(register: u32) -> u64 {
    // SAFETY: reads a register that exists.
    unsafe { Msr::new(register).read() }
}

/// This CPU's task state, as it is now.
fn task_state() -> TaskStateSegment {
    let low = descriptor(task_register());
    let high = descriptor(task_register() + 8);
    let base = low >> 16 & 0x00ff_ffff | low >> 56 << 24 | high << 32;
    // SAFETY: the CPU itself reads its task state there.
    unsafe { (base as *const TaskStateSegment).read_volatile() }
}

/// The tops of this CPU's exception stacks.
pub fn interrupt_stacks() -> impl Iterator<Item = u64> {
    let state = task_state();
    let stacks = state.interrupt_stack_table;
    stacks.into_iter().map(|top| top.as_u64()).filter(|top| *top != 0)
}

struct Gate {
    handler: u64,
    selector: u16,
    stack: u64,
    kind: u64,
    level: u64,
    present: bool,
}

fn gate(vector: u64) -> Gate {
    let base = sidt().base.as_u64();
    let low = table_word(base, vector as usize * 2);
    let high = table_word(base, vector as usize * 2 + 1);
    Gate {
        handler: low & 0xffff | low >> 48 << 16 | high << 32,
        selector: (low >> 16) as u16,
        stack: low >> 32 & 7,
        kind: low >> 40 & 0x1f,
        level: level(low),
        present: low & PRESENT != 0,
    }
}

kernel_test! {
    /// Every vector but those that are reserved has a handler in the kernel's code, entered with
    /// interrupts off; programs may use `int` for a breakpoint and for overflow alone.
    fn every_vector_has_a_handler() {
        const INTERRUPT_GATE: u64 = 0xe;
        assert_eq!(sidt().limit, 256 * 16 - 1);
        let mut before = 0;
        for vector in (0..256).filter(|vector| !RESERVED.contains(vector)) {
            let gate = gate(vector);
            assert!(gate.present, "vector {vector}");
            assert!(loaded::text().contains(&gate.handler), "vector {vector}: {:#x}", gate.handler);
            assert!(gate.handler > before, "vector {vector} shares a handler");
            before = gate.handler;
            assert_eq!(gate.selector, KERNEL_CODE, "vector {vector}");
            assert_eq!(gate.kind, INTERRUPT_GATE, "vector {vector}");
            let is_open = [3, 4].contains(&vector);
            assert_eq!(gate.level, if is_open { 3 } else { 0 }, "vector {vector}");
        }
    }
}

kernel_test! {
    /// Debug exceptions, NMI, double fault and machine check have a stack of their own each, no other
    /// vector has one.
    fn some_exceptions_have_own_stacks() {
        let own = [DEBUG, NMI, DOUBLE_FAULT, MACHINE_CHECK];
        let mut used = 0_u8;
        for vector in 0..256 {
            let stack = gate(vector).stack;
            assert_eq!(stack != 0, own.contains(&vector), "vector {vector}");
            if stack != 0 {
                assert_eq!(used & 1 << stack, 0, "vector {vector} shares its stack");
                used |= 1 << stack;
                let tops = task_state().interrupt_stack_table;
                assert_ne!(tops[stack as usize - 1].as_u64(), 0, "vector {vector}");
            }
        }
        assert_eq!(interrupt_stacks().count(), own.len());
    }
}

kernel_test! {
    /// Each exception stack starts aligned, and carries the address of this CPU's area at its end.
    fn exception_stacks_name_their_cpu() {
        for top in interrupt_stacks() {
            assert_eq!(top % 16, 0, "{top:#x}");
            let page = walk::page_of(walk::root(), top).expect("the word at the top is mapped");
            assert!(page.rights.write && !page.rights.execute, "{page:x?}");
            assert_eq!(table_word(top, 0), GsBase::read().as_u64());
        }
    }
}

kernel_test! {
    /// The segments are what `syscall` and `sysretq` assume, and the registers name them.
    fn segments_are_what_entry_and_exit_assume() {
        for (selector, executable, privilege) in [
            (KERNEL_CODE, true, 0),
            (KERNEL_DATA, false, 0),
            (USER_DATA, false, 3),
            (USER_CODE, true, 3),
        ] {
            let found = descriptor(selector);
            assert_eq!(found & (PRESENT | ORDINARY), PRESENT | ORDINARY, "{selector:#x}");
            assert_eq!(level(found), privilege, "{selector:#x}");
            assert_eq!(found & EXECUTABLE != 0, executable, "{selector:#x}");
            assert_eq!(found & LONG != 0, executable, "{selector:#x}");
        }
        assert_eq!(descriptor(0), 0, "the null descriptor");
        assert_eq!(CS::get_reg().0, KERNEL_CODE);
        assert_eq!(SS::get_reg().0, KERNEL_DATA);
        assert_eq!((DS::get_reg().0, ES::get_reg().0), (0, 0));
        assert_eq!((FS::get_reg().0, GS::get_reg().0), (0, 0));
        // The table that a reset leaves is 64 KiB at address 0: a program's.
        assert!((0..8192).step_by(61).all(|index| !has_local(index)));
    }
}

kernel_test! {
    /// The task state is loaded, and grants programs no I/O port.
    fn the_task_state_is_loaded() {
        const BUSY: u64 = 0xb;
        let found = descriptor(task_register());
        assert_eq!(found >> 40 & 0x1f, BUSY, "{found:#x}");
        assert!(found & PRESENT != 0 && level(found) == 0);
        let limit = found & 0xffff | found >> 32 & 0xf_0000;
        assert_eq!(limit, size_of::<TaskStateSegment>() as u64 - 1);
        assert!(u64::from(task_state().iomap_base) > limit, "there is a map of ports");
    }
}

kernel_test! {
    /// An interrupt from user mode is pushed to the end of the current thread's registers.
    fn interrupts_push_into_the_current_thread() {
        for _ in 0..2 {
            let registers = SavedRegisters::new(0x1000, 0x2000, 0).unwrap();
            let registers = Box::leak(Box::new(registers));
            let end = core::ptr::from_mut(registers).wrapping_add(1) as u64;
            arch::set_current(registers);
            let table = task_state().privilege_stack_table;
            assert_eq!(table[0].as_u64(), end);
            assert_eq!(end % 16, 0, "the CPU would align it, and the frame would shift");
            let page = walk::page_of(walk::root(), end - 8).expect("it is mapped");
            assert!(page.rights.write && !page.rights.user, "{page:x?}");
            assert!(table[1..].iter().all(|other| other.as_u64() == 0));
        }
    }
}
