//! Taking pages of an object out of all mappings for a moment: so that they can be shared, or one be copied,
//! without anybody seeing or writing what is no longer so.
//!
//! ```text
//!          1               2             3                 4
//!  settled ───► withdrawn ───► unmapped ───► forgotten ─────► settled
//! ```
//! 1. From now on who touches one of the pages waits; 2. they are removed from each mapping of the object, in
//! steps; 3. all CPUs that may remember one have forgotten it; 4. whoever withdrew them has done what it
//! wanted, or is gone.

use core::ops::Range;

use orbital_executor::yield_now;

use super::{
    AddressSpace, MemoryObject,
    shootdown::{EVERYTHING, Shootdown},
};
use crate::object::Ref;

/// Pages that nobody maps. They are touched again when this is dropped.
pub struct Withdrawn<'a>(&'a Ref<MemoryObject>);

impl Drop for Withdrawn<'_> {
    fn drop(&mut self) {
        self.0.end_withdrawal();
    }
}

/// Withdraws `pages` of `object`.
pub async fn withdraw<'a>(object: &'a Ref<MemoryObject>, pages: Range<u64>) -> Withdrawn<'a> {
    while !object.begin_withdrawal(&pages) {
        object.settle().await;
    }
    let withdrawn = Withdrawn(object);
    let mut cpus = 0;
    while let Some((space, start)) = object.with_inner(|inner| inner.mappings.next_of_walk()) {
        // SAFETY: address spaces alone make mappings.
        let space = unsafe { AddressSpace::from_any(space) };
        let mut from = pages.start;
        while let Some(next) = space.withdraw_step(start, object, &pages, from) {
            from = next;
            yield_now().await;
        }
        cpus |= space.take_note();
    }
    Shootdown::begin(cpus, EVERYTHING).finish().await;
    withdrawn
}
