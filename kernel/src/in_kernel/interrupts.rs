//! Interrupts at the worst moments: right before the CPU sleeps, and in the middle of a command to the
//! interrupt controller.

use core::arch::asm;

use kernel::{
    arch::{self, SavedRegisters, clock, direct_map, timer},
    sched::dispatch,
};
use orbital_abi::layout;

use super::{descriptors::model_specific, kernel_test, own_stacks};

/// The controller's page, where the CPU does not reach it by MSRs (Intel SDM volume 3, 11.4.1).
const CONTROLLER: u64 = 0xfee0_0000;
const COMMAND: u64 = 0x300;
const COMMAND_TARGET: u64 = 0x310;
const LINT1: u64 = 0x360;

unsafe extern "C" {
    /// What runs on the stacks of NMI and the like.
    safe fn orbital_trap_on_own_stack(registers: &mut SavedRegisters);
}

fn has_page() -> bool {
    const BASE: u32 = 0x1b;
    const X2APIC: u64 = 1 << 10;
    model_specific(BASE) & X2APIC == 0
}

fn register(offset: u64) -> *mut u32 {
    direct_map::address(CONTROLLER + offset) as *mut u32
}

fn read(offset: u64) -> u32 {
    // SAFETY: the direct map has all below 4 GiB, and reading these registers changes nothing.
    unsafe { register(offset).read_volatile() }
}

kernel_test! {
    /// An interrupt that comes right before `hlt` ends the wait: whoever sent it counts on that.
    fn an_interrupt_right_before_the_halt_ends_the_wait() {
        for _ in 0..10 {
            let before = dispatch::counters().1;
            // What would end the wait otherwise.
            timer::arm(clock::nanoseconds() + 10_000_000_000);
            arch::kick(0);
            // SAFETY: as the kernel waits, but that the instruction for which `sti` holds interrupts back
            // is over when `hlt` comes. That returns with interrupts off.
            unsafe {
                asm!("call 2f", "jmp 3f", "2: sti", "jmp orbital_halt", "3:", clobber_abi("C"));
            }
            timer::disarm();
            assert_eq!(dispatch::counters().1, before, "it slept until the timer");
        }
    }
}

kernel_test! {
    /// A command takes two writes, the target first. An NMI between them, whose handler sends something
    /// itself, leaves the target as it was: else the command would go to another CPU.
    fn an_nmi_within_a_command_keeps_its_target() {
        if !has_page() {
            return;
        }
        const OTHER: u32 = 0x55 << 24;
        own_stacks::wait_for_a_line();
        // SAFETY: nothing is sent before the second write, which does not come.
        unsafe { register(COMMAND_TARGET).write_volatile(OTHER) };
        let sent = read(COMMAND);
        own_stacks::nmi();
        assert_eq!(read(COMMAND_TARGET), OTHER);
        assert_ne!(read(COMMAND), sent, "the handler sent nothing: this shows nothing");
    }
}

/// An NMI's handler finds a program at `address`, which is none: where does that go on?
fn goes_on_at(address: u64) -> u64 {
    // As `SavedRegisters` has them.
    const ENTERED_BY: usize = 15;
    const INSTRUCTION: usize = 17;
    let mut registers = SavedRegisters::new(0x1000, 0x2000, 0).expect("a thread's");
    let words = (&raw mut registers).cast::<u64>();
    // SAFETY: the structure is 22 words, of which two are set to what a CPU may push.
    unsafe {
        words.add(ENTERED_BY).write(2);
        words.add(INSTRUCTION).write(address);
    }
    orbital_trap_on_own_stack(&mut registers);
    registers.instruction_pointer()
}

kernel_test! {
    /// Where an interrupt finds a program at an address that `iretq` refuses, it goes on at one that is
    /// never mapped, and any other where it was.
    fn no_interrupt_returns_to_an_address_that_is_none() {
        for nowhere in [1 << 47, 0x1234_5678_9abc_def0, 0xffff_7fff_ffff_ffff, 1 << 63] {
            assert_eq!(goes_on_at(nowhere), layout::USER_END, "{nowhere:#x}");
        }
        for somewhere in [0, 0x40_0000, layout::USER_END, (1 << 47) - 1, 0x1_ffff << 47, u64::MAX] {
            assert_eq!(goes_on_at(somewhere), somewhere);
        }
    }
}

kernel_test! {
    /// The machine's own non-maskable interrupts come in: at LINT1, as boards wire them.
    fn non_maskable_interrupts_of_the_machine_come_in() {
        const NMI: u32 = 4 << 8;
        const MASKED: u32 = 1 << 16;
        if has_page() {
            assert_eq!(read(LINT1) & (7 << 8 | MASKED), NMI);
        }
    }
}
