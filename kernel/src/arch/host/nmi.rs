//! Non-maskable interrupts: there are none.
#![forbid(unsafe_code)]

use crate::arch::NmiCounts;

/// How many have come.
pub fn counts() -> NmiCounts {
    NmiCounts::default()
}

/// There is nothing to start.
pub fn start_storm(_ticks: u16) {}
