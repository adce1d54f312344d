//! Time.
#![forbid(unsafe_code)]

use orbital_abi::Registers;

use super::Answer;
use crate::{
    arch::clock,
    sched::{Completion, block, clock::sleep_until},
    thread::{BlockReason, Current, Outcome},
};

pub(super) fn sleep(current: &Current, registers: &Registers) -> Completion {
    let deadline = registers.control[0];
    block(current, BlockReason::Sleeping, async move {
        sleep_until(deadline).await;
        Outcome::Answer(Ok(Registers::default()))
    })
}

/// Nanoseconds since boot; the time-stamp counter's value at boot; nanoseconds in 2^32 of its ticks, or
/// 0 where it can't be relied on.
pub(super) fn read() -> Answer {
    let (start, nanoseconds_per_tick) = clock::scale();
    Ok(Registers::control([clock::nanoseconds(), start, nanoseconds_per_tick, 0]))
}
