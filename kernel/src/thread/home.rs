//! What only the CPU that has a thread touches: the future of its operation, and the registers that
//! the entry code leaves alone.

use core::{cell::UnsafeCell, pin::Pin};

use orbital_executor::slot::FutureSlot;

use super::{Outcome, budget::Budget};
use crate::{
    arch::{FpuState, UserSegments},
    object::{Paid, PaidRoom},
};

/// Bytes of the slot for the future of the operation that a thread waits in.
pub const SLOT_BYTES: usize = 256;

/// The first slice of a thread, in nanoseconds: as long as every other.
const FIRST_SLICE: u64 = 1_000_000;

/// The slot.
pub(super) type Slot = FutureSlot<Outcome, SLOT_BYTES>;

/// What the thread's CPU keeps for it.
pub(super) struct Home {
    slot: Slot,
    /// Made at the first use of floating point, and paid for.
    pub(super) fpu: Option<(FpuState, PaidRoom)>,
    pub(super) segments: UserSegments,
    /// What is left of its slice, in nanoseconds.
    pub(super) slice_left: u64,
    /// How much it may run; without one as long as it likes.
    pub(super) budget: Option<Pin<Paid<Budget>>>,
}

impl Home {
    /// The slot, which stays where it is.
    pub(super) fn slot(&mut self) -> Pin<&mut Slot> {
        // SAFETY: a home lies in a TCB, which never moves.
        unsafe { Pin::new_unchecked(&mut self.slot) }
    }
}

/// A home in its TCB.
pub(super) struct HomeCell(UnsafeCell<Home>);

impl HomeCell {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(Home {
            slot: FutureSlot::new(),
            fpu: None,
            segments: UserSegments::new(),
            slice_left: FIRST_SLICE,
            budget: None,
        }))
    }

    /// Runs `f` on it.
    ///
    /// # Safety
    /// The caller's CPU has the thread, and `f` does not come here again.
    pub(super) unsafe fn with<R>(&self, f: impl FnOnce(&mut Home) -> R) -> R {
        // SAFETY: the caller's.
        f(unsafe { &mut *self.0.get() })
    }
}
