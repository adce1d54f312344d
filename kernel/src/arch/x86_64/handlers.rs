//! What the entry code calls: sorts exceptions and interrupts into [`Trap`]s for the layers above.

use orbital_abi::{Fault, FaultKind};
use x86_64::registers::control::Cr2;

use super::{SavedRegisters, apic, idle, lines, nmi, user_copy};
use crate::arch::Trap;

unsafe extern "Rust" {
    /// The layers above: what to do, and whose registers run next.
    safe fn orbital_trap(trap: Trap) -> *mut SavedRegisters;
    /// The same for interrupts that came while the kernel waited for them.
    safe fn orbital_interrupt_in_kernel(trap: Trap);
}

const DEBUG: u64 = 1;
const NMI: u64 = 2;
const DEVICE_NOT_AVAILABLE: u64 = 7;
const DOUBLE_FAULT: u64 = 8;
const PAGE_FAULT: u64 = 14;
const MACHINE_CHECK: u64 = 18;
/// Vectors from here on are interrupts.
const FIRST_INTERRUPT: u64 = 32;

fn interrupt(vector: u64) -> Trap {
    match vector {
        v if v == u64::from(apic::TIMER_VECTOR) => {
            apic::end_of_interrupt();
            Trap::Timer
        }
        v if v == u64::from(apic::KICK_VECTOR) => {
            apic::end_of_interrupt();
            Trap::Kick
        }
        // The APIC's spurious vector wants no acknowledgement, and no other is ever enabled.
        _ => lines::at_vector(vector).map_or(Trap::Spurious, Trap::Device),
    }
}

fn fault(registers: &SavedRegisters) -> Fault {
    let kind = match registers.entered_by {
        0 => FaultKind::Divide,
        DEBUG => FaultKind::Debug,
        3 => FaultKind::Breakpoint,
        5 | 6 => FaultKind::InvalidOpcode,
        12 => FaultKind::Stack,
        10 | 11 | 13 => FaultKind::Protection,
        // The error code's bits (Intel SDM volume 3, 4.7): 4 is an instruction fetch, 1 a write.
        PAGE_FAULT if registers.error_code & 1 << 4 != 0 => FaultKind::PageExecute,
        PAGE_FAULT if registers.error_code & 1 << 1 != 0 => FaultKind::PageWrite,
        PAGE_FAULT => FaultKind::PageRead,
        16 | 19 => FaultKind::FloatingPoint,
        17 => FaultKind::Alignment,
        _ => FaultKind::Other,
    };
    let address = if registers.entered_by == PAGE_FAULT { Cr2::read_raw() } else { 0 };
    Fault { kind, address, instruction_pointer: registers.rip }
}

#[unsafe(no_mangle)]
extern "C" fn orbital_trap_from_user(registers: &mut SavedRegisters) -> *mut SavedRegisters {
    orbital_trap(match registers.entered_by {
        DEVICE_NOT_AVAILABLE => Trap::FpuUnavailable,
        // A machine check or NMI never comes this way: they have stacks of their own.
        vector if vector >= FIRST_INTERRUPT => {
            registers.make_resumable();
            interrupt(vector)
        }
        // Bit 2 of the error code: the program's own access. Some CPUs make accesses of the system's for it,
        // to descriptors for one, and QEMU's those of `iretq`; no mapping would let them through.
        PAGE_FAULT if registers.error_code & 1 << 2 != 0 => Trap::PageFault(fault(registers)),
        _ => Trap::Fault(fault(registers)),
    })
}

#[unsafe(no_mangle)]
extern "C" fn orbital_trap_from_kernel(registers: &mut SavedRegisters) {
    if registers.entered_by >= FIRST_INTERRUPT {
        orbital_interrupt_in_kernel(interrupt(registers.entered_by));
        registers.rip = idle::past_halt(registers.rip);
        return;
    }
    if registers.entered_by == PAGE_FAULT
        && let Some(resume) = user_copy::fixup(registers.rip)
    {
        registers.rip = resume;
        return;
    }
    let fault = fault(registers);
    panic!(
        "exception {} in the kernel: {} at {:#x}, address {:#x}, error code {:#x}",
        registers.entered_by,
        fault.kind,
        fault.instruction_pointer,
        fault.address,
        registers.error_code,
    );
}

#[unsafe(no_mangle)]
extern "C" fn orbital_trap_on_own_stack(registers: &mut SavedRegisters) {
    match registers.entered_by {
        NMI => nmi::came(registers),
        // Someone's breakpoint register hit in the kernel: go on without a trace of it. Single
        // steps can't come here, the entry code clears the flag.
        DEBUG => {}
        DOUBLE_FAULT => panic!(
            "double fault at {:#x}, stack {:#x}, address {:#x}",
            registers.rip,
            registers.rsp,
            Cr2::read_raw(),
        ),
        MACHINE_CHECK => panic!("machine check at {:#x}", registers.rip),
        vector => panic!("vector {vector} on a stack of its own"),
    }
}
