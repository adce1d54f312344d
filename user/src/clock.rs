//! Time: nanoseconds since boot.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_abi::{Registers, Syscall};

use crate::syscall::harmless;

/// The counter's value at boot, and nanoseconds in 2^32 of its ticks; 0 until they are known, or where
/// the counter is of no use.
static START: AtomicU64 = AtomicU64::new(0);
static SCALE: AtomicU64 = AtomicU64::new(0);

/// Nanoseconds since boot. Without a system call, but the first time.
pub fn now() -> u64 {
    let scale = SCALE.load(Relaxed);
    if scale == 0 {
        return ask();
    }
    let passed = ticks().wrapping_sub(START.load(Relaxed));
    ((u128::from(passed) * u128::from(scale)) >> 32) as u64
}

fn ask() -> u64 {
    let Ok(results) = harmless(Syscall::ClockRead, &Registers::default()) else { return 0 };
    let [now, start, scale, _] = results.control;
    // The scale last: who sees it sees the start.
    START.store(start, Relaxed);
    core::sync::atomic::fence(core::sync::atomic::Ordering::Release);
    SCALE.store(scale, Relaxed);
    now
}

/// The time-stamp counter of the CPU that runs the caller; under `--icount` it counts instructions.
#[cfg(target_arch = "x86_64")]
pub fn ticks() -> u64 {
    // SAFETY: every CPU with 64-bit mode has the counter, and the kernel lets programs read it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Waits until `deadline`, in nanoseconds since boot.
pub fn sleep_until(deadline: u64) {
    // It can't fail.
    let _ = harmless(Syscall::ThreadSleep, &Registers::control([deadline, 0, 0, 0]));
}

/// Waits for so many nanoseconds.
pub fn sleep(nanoseconds: u64) {
    sleep_until(now().saturating_add(nanoseconds));
}
