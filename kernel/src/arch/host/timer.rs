//! The interrupt at a time, one of each CPU.
#![forbid(unsafe_code)]

use core::cell::Cell;

use super::{clock, cpu::Each};
use crate::percpu::MAX_CPUS;

std::thread_local! {
    /// When it comes, in nanoseconds since boot.
    static DUE: Each<Cell<Option<u64>>> = const { Each::new([const { Cell::new(None) }; MAX_CPUS]) };
}

/// Asks for one timer interrupt at `deadline` (nanoseconds since boot), or at once where that has
/// passed. Replaces an earlier request.
pub fn arm(deadline: u64) {
    super::race::point();
    DUE.with(|due| due.here().set(Some(deadline)));
}

/// Takes the request back.
pub fn disarm() {
    DUE.with(|due| due.here().set(None));
}

/// How long until the interrupt of this CPU, in nanoseconds; `None` where none was asked for.
pub fn left() -> Option<u64> {
    let due = DUE.with(|due| due.here().get());
    due.map(|due| due.saturating_sub(clock::now()))
}

/// How long until the first interrupt of any CPU.
pub fn first_left() -> Option<u64> {
    let due = DUE.with(|due| due.all().filter_map(Cell::get).min());
    due.map(|due| due.saturating_sub(clock::now()))
}

/// Whether the interrupt of this CPU is due. Then it is on its way, and the request is over.
pub fn take_expired() -> bool {
    let expired = left() == Some(0);
    if expired {
        disarm();
    }
    expired
}

/// Whether the interrupt of `cpu` is due.
pub fn is_due(cpu: usize) -> bool {
    DUE.with(|due| due.of(cpu).get()).is_some_and(|due| due <= clock::now())
}

/// Takes the requests of all CPUs back.
pub(super) fn reset() {
    DUE.with(|due| due.all().for_each(|due| due.set(None)));
}
