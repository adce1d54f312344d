//! The local interrupt controller (Intel SDM volume 3, chapter 11), by MSRs where the CPU has x2APIC,
//! else by its page.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use orbital_abi::arguments::PortRange;
use x86_64::registers::model_specific::Msr;

use super::{features, port, window};

/// The timer's vector.
pub const TIMER_VECTOR: u8 = 0x20;
/// Another CPU wants this one to look at its queues.
pub const KICK_VECTOR: u8 = 0x21;
/// The controller's own, for an interrupt that went away before it was taken.
const SPURIOUS_VECTOR: u8 = 0xff;

const BASE_MSR: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;
const X2APIC_MSRS: u32 = 0x800;

/// The registers, in bytes from the controller's page.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Register {
    Id = 0x20,
    EndOfInterrupt = 0xb0,
    Spurious = 0xf0,
    Command = 0x300,
    /// Of the page alone: where the command goes.
    CommandTarget = 0x310,
    Timer = 0x320,
    Lint0 = 0x350,
    Lint1 = 0x360,
    Error = 0x370,
    InitialCount = 0x380,
    CurrentCount = 0x390,
    Divide = 0x3e0,
}

/// Masks an entry of the local vector table.
pub const MASKED: u32 = 1 << 16;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const DELIVERY_NMI: u32 = 4 << 8;
const DELIVERY_INIT: u32 = 5 << 8;
const DELIVERY_START: u32 = 6 << 8;
const ASSERT: u32 = 1 << 14;
const PENDING: u32 = 1 << 12;
/// To the sender, whatever the target says.
const TO_SELF: u32 = 1 << 18;

/// Where the controller's page is mapped: at the same place for every CPU, each sees its own.
static BASE: AtomicU64 = AtomicU64::new(0);
static IS_ON: AtomicBool = AtomicBool::new(false);

/// The physical addresses of the controllers' pages.
pub fn page() -> core::ops::Range<u64> {
    // SAFETY: every CPU with a controller has this register.
    let base = unsafe { Msr::new(BASE_MSR).read() } & 0x000f_ffff_ffff_f000;
    base..base + 4096
}

fn msr(register: Register) -> Msr {
    Msr::new(X2APIC_MSRS + (register as u32 >> 4))
}

/// Writes a register.
#[inline]
pub fn write(register: Register, value: u32) {
    // SAFETY: the mode is the one that `init` chose, and `BASE` is the controller's mapping from then
    // on; the registers named above have no effect on memory.
    unsafe {
        if features::features().x2apic {
            msr(register).write(value.into());
        } else {
            ((BASE.load(Relaxed) + register as u64) as *mut u32).write_volatile(value);
        }
    }
}

/// Reads a register.
pub fn read(register: Register) -> u32 {
    // SAFETY: as above.
    unsafe {
        if features::features().x2apic {
            msr(register).read() as u32
        } else {
            ((BASE.load(Relaxed) + register as u64) as *const u32).read_volatile()
        }
    }
}

/// Turns this CPU's controller on.
pub fn init() {
    mask_legacy_controllers();
    let x2apic = features::features().x2apic;
    let mut base = Msr::new(BASE_MSR);
    // SAFETY: turning the controller on at its present address changes nothing else; x2APIC mode is
    // entered from the enabled state alone.
    let physical = unsafe {
        let value = base.read() | BASE_ENABLE;
        base.write(value);
        if x2apic {
            base.write(value | BASE_X2APIC);
        }
        value & 0x000f_ffff_ffff_f000
    };
    if !x2apic && BASE.load(Relaxed) == 0 {
        BASE.store(window::map_device(physical, 4096), Relaxed);
    }
    for register in [Register::Timer, Register::Lint0, Register::Error] {
        write(register, MASKED);
    }
    // What the board has to say of errors, and what a user's button does (MultiProcessor
    // Specification 1.4, 3.6.2.2).
    write(Register::Lint1, DELIVERY_NMI);
    write(Register::Spurious, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    IS_ON.store(true, Relaxed);
}

/// Whether the first CPU's controller is on.
pub fn is_on() -> bool {
    IS_ON.load(Relaxed)
}

/// The ports of the old controllers (Intel 8259A data sheet): a command's, then the masks'.
pub const LEGACY_PORTS: [PortRange; 2] =
    [PortRange { first: 0x20, last: 0x21 }, PortRange { first: 0xa0, last: 0xa1 }];

/// The old controllers would deliver to vectors that belong to exceptions: mask them for good.
fn mask_legacy_controllers() {
    for ports in LEGACY_PORTS {
        port::write_u8(ports.last, 0xff);
    }
}

/// This CPU's number on the interrupt bus.
pub fn id() -> u32 {
    let id = read(Register::Id);
    if features::features().x2apic { id } else { id >> 24 }
}

/// Tells the controller that the interrupt has been taken.
#[inline]
pub fn end_of_interrupt() {
    write(Register::EndOfInterrupt, 0);
}

/// Sends a command to the CPU with bus number `target`.
fn send(target: u32, command: u32) {
    if features::features().x2apic {
        // SAFETY: the command register, whose upper half is the target. The write does not order what
        // came before it, which the receiver is to see (Intel SDM volume 3, 11.12.3).
        unsafe {
            core::arch::asm!("mfence", options(nostack, preserves_flags));
            msr(Register::Command).write(u64::from(target) << 32 | u64::from(command));
        }
        return;
    }
    write(Register::CommandTarget, target << 24);
    write(Register::Command, command);
    wait_until_sent();
}

/// Waits until the controller's page takes another command.
fn wait_until_sent() {
    while read(Register::Command) & PENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Runs `f`, which may send, where a command of this CPU's may have been interrupted: by the page a
/// command takes two writes, and between them the second would go to the target of `f`'s.
pub fn aside(f: impl FnOnce()) {
    if features::features().x2apic {
        return f();
    }
    wait_until_sent();
    let target = read(Register::CommandTarget);
    f();
    write(Register::CommandTarget, target);
}

/// Makes this CPU take the interrupt of [`KICK_VECTOR`] as soon as it lets interrupts in.
pub fn kick_self() {
    send(id(), ASSERT | TO_SELF | u32::from(KICK_VECTOR));
}

/// Makes another CPU take the interrupt of [`KICK_VECTOR`].
pub fn send_kick(target: u32) {
    send(target, ASSERT | u32::from(KICK_VECTOR));
}

/// Stops another CPU, wherever it is.
pub fn send_nmi(target: u32) {
    send(target, ASSERT | DELIVERY_NMI);
}

/// Resets another CPU, which then waits for [`send_start`].
pub fn send_init(target: u32) {
    send(target, ASSERT | DELIVERY_INIT);
}

/// Starts another CPU in real mode at page `page`.
pub fn send_start(target: u32, page: u8) {
    send(target, ASSERT | DELIVERY_START | u32::from(page));
}
