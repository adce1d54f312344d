//! The interrupt descriptor table: every vector that a CPU can raise has a handler, and programs can
//! raise none but those of `int3` and `into`.

use x86_64::{
    VirtAddr,
    structures::idt::{Entry, InterruptDescriptorTable},
};

use super::{gdt::Ist, trap};

static TABLE: spin::Once<InterruptDescriptorTable> = spin::Once::new();

/// Who may use a vector by an `int` instruction.
enum Callers {
    Kernel,
    Everyone,
}

fn set<F>(entry: &mut Entry<F>, vector: u8, callers: Callers, stack: Option<Ist>) {
    // SAFETY: the stub of each vector pushes what `trap` expects and returns by `iretq`; the
    // stacks named here are set up for each CPU by `gdt`.
    unsafe {
        let options = entry.set_handler_addr(VirtAddr::new(trap::stub(vector)));
        if let Callers::Everyone = callers {
            options.set_privilege_level(x86_64::PrivilegeLevel::Ring3);
        }
        if let Some(stack) = stack {
            options.set_stack_index(stack as u16);
        }
    }
}

fn build() -> InterruptDescriptorTable {
    use Callers::{Everyone, Kernel};
    let mut table = InterruptDescriptorTable::new();
    let t = &mut table;
    set(&mut t.divide_error, 0, Kernel, None);
    set(&mut t.debug, 1, Kernel, Some(Ist::Debug));
    set(&mut t.non_maskable_interrupt, 2, Kernel, Some(Ist::Nmi));
    set(&mut t.breakpoint, 3, Everyone, None);
    set(&mut t.overflow, 4, Everyone, None);
    set(&mut t.bound_range_exceeded, 5, Kernel, None);
    set(&mut t.invalid_opcode, 6, Kernel, None);
    set(&mut t.device_not_available, 7, Kernel, None);
    set(&mut t.double_fault, 8, Kernel, Some(Ist::DoubleFault));
    set(&mut t.invalid_tss, 10, Kernel, None);
    set(&mut t.segment_not_present, 11, Kernel, None);
    set(&mut t.stack_segment_fault, 12, Kernel, None);
    set(&mut t.general_protection_fault, 13, Kernel, None);
    set(&mut t.page_fault, 14, Kernel, None);
    set(&mut t.x87_floating_point, 16, Kernel, None);
    set(&mut t.alignment_check, 17, Kernel, None);
    set(&mut t.machine_check, 18, Kernel, Some(Ist::MachineCheck));
    set(&mut t.simd_floating_point, 19, Kernel, None);
    set(&mut t.virtualization, 20, Kernel, None);
    set(&mut t.cp_protection_exception, 21, Kernel, None);
    set(&mut t.hv_injection_exception, 28, Kernel, None);
    set(&mut t.vmm_communication_exception, 29, Kernel, None);
    set(&mut t.security_exception, 30, Kernel, None);
    for (vector, entry) in (32..=255).zip(t.slice_mut(32..)) {
        set(entry, vector, Kernel, None);
    }
    table
}

/// Loads the table on this CPU.
pub fn init() {
    TABLE.call_once(build).load();
}

/// Forgets all handlers, so that the next exception resets the machine.
pub fn forget() {
    static EMPTY: spin::Once<x86_64::structures::DescriptorTablePointer> = spin::Once::new();
    let pointer = EMPTY.call_once(|| x86_64::structures::DescriptorTablePointer {
        limit: 0,
        base: VirtAddr::zero(),
    });
    // SAFETY: the caller wants the machine to reset.
    unsafe { x86_64::instructions::tables::lidt(pointer) };
}
