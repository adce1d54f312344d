//! Whether anybody watches what the kernel does, in one byte: so where nobody does, a system call has one look at that.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

static BITS: AtomicU8 = AtomicU8::new(0);

/// Stretches with interrupts off are measured (`sched::irq_off`).
pub const MEASURED: u8 = 1 << 0;
/// Everything that happens is traced.
pub const TRACED: u8 = 1 << 1;

/// Whether anybody does.
#[inline(always)]
pub fn is_any() -> bool {
    BITS.load(Relaxed) != 0
}

/// Whether that is done.
#[inline(always)]
pub fn is(bit: u8) -> bool {
    BITS.load(Relaxed) & bit != 0
}

/// From here on that is done. Whether it was before.
pub fn begin(bit: u8) -> bool {
    BITS.fetch_or(bit, Relaxed) & bit != 0
}

/// From here on it is not.
pub fn end(bit: u8) {
    BITS.fetch_and(!bit, Relaxed);
}
