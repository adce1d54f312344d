//! Random numbers of the CPU's own.
#![forbid(unsafe_code)]

use x86_64::instructions::random::RdRand;

/// A random number; `None` where the CPU has none to give.
pub fn random() -> Option<u64> {
    RdRand::new()?.get_u64()
}
