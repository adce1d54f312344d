//! The interrupt at a time: one shot, by the TSC deadline where the CPU has it, else by the interrupt
//! controller's own counter.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use x86_64::registers::model_specific::Msr;

use super::{
    apic::{self, Register, TIMER_VECTOR},
    clock, features, pit,
};

const DEADLINE_MSR: u32 = 0x6e0;
const DEADLINE_MODE: u32 = 2 << 17;
/// Divide the bus clock by 16.
const DIVIDE_BY_16: u32 = 0b0011;

/// Ticks of the controller's counter in 2^32 nanoseconds.
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);
const FRACTION: u32 = 32;

/// Sets this CPU's timer up; the first time, measures it and the clock.
pub fn init() {
    apic::write(Register::Divide, DIVIDE_BY_16);
    if TICKS_PER_NS.load(Relaxed) == 0 {
        calibrate();
    }
    let mode = if features::features().tsc_deadline { DEADLINE_MODE } else { 0 };
    apic::write(Register::Timer, mode | u32::from(TIMER_VECTOR));
    if features::features().tsc_deadline {
        // The mode must be there before the deadline (Intel SDM volume 3, 11.5.4.1).
        // SAFETY: a fence.
        unsafe { core::arch::asm!("mfence", options(nostack, preserves_flags)) };
    }
    disarm();
}

fn calibrate() {
    apic::write(Register::InitialCount, u32::MAX);
    let (start, milliseconds) = (clock::ticks(), pit::CALIBRATION_MS);
    pit::wait();
    let ticks = u64::from(u32::MAX - apic::read(Register::CurrentCount));
    clock::calibrated(clock::ticks() - start, milliseconds);
    apic::write(Register::InitialCount, 0);
    let nanoseconds = milliseconds * 1_000_000;
    TICKS_PER_NS.store(((ticks << FRACTION) / nanoseconds).max(1), Relaxed);
}

/// Asks for one interrupt at `deadline` (nanoseconds since boot), or at once where that has passed.
/// Replaces an earlier request. One that is farther away than the counter reaches comes early: who
/// asked looks at the time and asks again.
pub fn arm(deadline: u64) {
    if features::features().tsc_deadline {
        // A deadline of 0 would disarm.
        let ticks = clock::ticks_at(deadline).max(1);
        // SAFETY: CPUID has the register.
        unsafe { Msr::new(DEADLINE_MSR).write(ticks) };
        return;
    }
    let left = deadline.saturating_sub(clock::nanoseconds());
    let ticks = u128::from(left) * u128::from(TICKS_PER_NS.load(Relaxed));
    let ticks = (ticks >> FRACTION).clamp(1, u32::MAX.into());
    apic::write(Register::InitialCount, ticks as u32);
}

/// Takes the request back. An interrupt that is already on its way still comes.
pub fn disarm() {
    if features::features().tsc_deadline {
        // SAFETY: as above.
        unsafe { Msr::new(DEADLINE_MSR).write(0) };
    } else {
        apic::write(Register::InitialCount, 0);
    }
}
