//! Which CPUs sleep: they may take a thread that waits elsewhere ([`balance`](super::balance)).
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::arch;

/// A bit for each CPU that sleeps.
static SLEEPING: AtomicU64 = AtomicU64::new(0);

fn own_bit() -> u64 {
    1 << arch::cpu_index()
}

/// Whether a CPU sleeps.
pub fn exist() -> bool {
    SLEEPING.load(SeqCst) != 0
}

/// The other CPUs that sleep, a bit each.
pub fn others() -> u64 {
    SLEEPING.load(SeqCst) & !own_bit()
}

/// This CPU is about to sleep.
pub fn add() {
    SLEEPING.fetch_or(own_bit(), SeqCst);
}

/// This CPU sleeps no longer.
pub fn remove() {
    if SLEEPING.load(SeqCst) & own_bit() != 0 {
        SLEEPING.fetch_and(!own_bit(), SeqCst);
    }
}

/// Wins the right to give something to `cpu`, which sleeps: for one of those who want to.
pub fn claim(cpu: usize) -> bool {
    SLEEPING.fetch_and(!(1 << cpu), SeqCst) & 1 << cpu != 0
}
