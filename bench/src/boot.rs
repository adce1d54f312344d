//! How long it takes from the kernel's entry to init.
#![forbid(unsafe_code)]

use alloc::vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use orbital_user::{
    abi::{Registers, Syscall},
    syscall::harmless,
};

use crate::measure::{Samples, ticks};

/// The counter when this program began.
static START: AtomicU64 = AtomicU64::new(0);

/// Called first of all.
pub fn note_start() {
    START.store(ticks(), Relaxed);
}

/// For so long the kernel waits to measure the counter (`kernel/src/arch/x86_64/pit.rs`), in nanoseconds.
const CALIBRATION_NS: u128 = 10_000_000;

/// From the kernel's entry to init, without the wait that measures the counter.
pub fn kernel() -> Samples {
    let read = harmless(Syscall::ClockRead, &Registers::default()).expect("the clock");
    let [_, entry, scale, _] = read.control;
    // The scale was made of the ticks that went by meanwhile: so these come back from it.
    let calibration = (CALIBRATION_NS << 32) / u128::from(scale.max(1));
    Samples::of(vec![START.load(Relaxed) - entry - calibration as u64])
}
