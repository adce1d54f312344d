//! Non-maskable interrupts: there are none.
#![forbid(unsafe_code)]

use crate::arch::NmiCounts;

/// How many have come.
pub fn counts() -> NmiCounts {
    NmiCounts::default()
}
