//! The local interrupt controller and its timer, in xAPIC mode (Intel SDM volume 3, chapter 11).

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use x86_64::registers::model_specific::Msr;

use super::{clock, pit, port, window};

/// The timer's vector.
pub const TIMER_VECTOR: u8 = 0x20;
/// Where the controller reports interrupts that vanished.
const SPURIOUS_VECTOR: u8 = 0xff;

const BASE_MSR: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;

// Registers, in bytes from the controller's page.
const END_OF_INTERRUPT: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const LVT_TIMER: u64 = 0x320;
const LVT_LINT0: u64 = 0x350;
const LVT_LINT1: u64 = 0x360;
const LVT_ERROR: u64 = 0x370;
const INITIAL_COUNT: u64 = 0x380;
const CURRENT_COUNT: u64 = 0x390;
const DIVIDE: u64 = 0x3e0;

const MASKED: u32 = 1 << 16;
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// Divide the bus clock by 16.
const DIVIDE_BY_16: u32 = 0b0011;

/// Where the controller's page is mapped.
static BASE: AtomicU64 = AtomicU64::new(0);
/// Timer ticks per millisecond.
static TICKS_PER_MS: AtomicU64 = AtomicU64::new(0);

fn write(register: u64, value: u32) {
    // SAFETY: `BASE` is the mapping of this CPU's controller from `init` on, which comes before
    // every use; the registers named above have no effect on memory.
    unsafe { ((BASE.load(Relaxed) + register) as *mut u32).write_volatile(value) }
}

fn read(register: u64) -> u32 {
    // SAFETY: as above.
    unsafe { ((BASE.load(Relaxed) + register) as *const u32).read_volatile() }
}

/// Turns the controller on and calibrates its timer and the clock against the PIT.
pub fn init() {
    mask_legacy_controllers();
    let mut base = Msr::new(BASE_MSR);
    // SAFETY: turning the controller on at its present address changes nothing else.
    let physical = unsafe {
        let value = base.read() | BASE_ENABLE;
        base.write(value);
        value & 0x000f_ffff_ffff_f000
    };
    if BASE.load(Relaxed) == 0 {
        BASE.store(window::map_device(physical, 4096), Relaxed);
    }
    for register in [LVT_TIMER, LVT_LINT0, LVT_LINT1, LVT_ERROR] {
        write(register, MASKED);
    }
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    write(DIVIDE, DIVIDE_BY_16);
    if TICKS_PER_MS.load(Relaxed) == 0 {
        calibrate();
    }
    write(LVT_TIMER, TIMER_VECTOR.into());
}

/// The old controllers would deliver to vectors that belong to exceptions: mask them for good.
fn mask_legacy_controllers() {
    port::write_u8(0x21, 0xff);
    port::write_u8(0xa1, 0xff);
}

fn calibrate() {
    write(INITIAL_COUNT, u32::MAX);
    let (start, milliseconds) = (clock::ticks(), pit::CALIBRATION_MS);
    pit::wait();
    let ticks = u64::from(u32::MAX - read(CURRENT_COUNT));
    clock::calibrated(clock::ticks() - start, milliseconds);
    write(INITIAL_COUNT, 0);
    TICKS_PER_MS.store((ticks / milliseconds).max(1), Relaxed);
}

/// Tells the controller that the interrupt has been taken.
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Asks for one timer interrupt in `microseconds`, at least one tick from now. Replaces an
/// earlier request.
pub fn arm(microseconds: u64) {
    let ticks = TICKS_PER_MS.load(Relaxed).saturating_mul(microseconds) / 1000;
    write(INITIAL_COUNT, ticks.clamp(1, u32::MAX.into()) as u32);
}

/// Takes the request back. An interrupt that is already on its way still comes.
pub fn disarm() {
    write(INITIAL_COUNT, 0);
}
