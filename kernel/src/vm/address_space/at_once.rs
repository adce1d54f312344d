//! Unmapping a small mapping at once: what a change does in its four steps, in one.
#![forbid(unsafe_code)]

use orbital_abi::layout::PAGE_SIZE;

use super::{
    AddressSpace, State,
    change::{Change, Kind},
    map::AT_ONCE,
    tables::WINDOW,
};
use crate::{
    object::Paid,
    vm::{region::Region, shootdown},
};

/// What came of it.
pub enum AtOnce {
    /// The mapping is gone, to be dropped after unlocking.
    Gone(Paid<Region>),
    /// A change goes on from here: another CPU has come to remember the pages.
    Begun,
    /// Nothing was changed: it takes more than a step.
    No,
}

impl AddressSpace {
    /// Unmaps `[start, end)`, if that is all of one small mapping whose tables others need too. `cpu` is this
    /// one.
    pub(super) fn unmap_at_once(
        &self,
        state: &mut State,
        start: u64,
        end: u64,
        cpu: usize,
    ) -> AtOnce {
        let State { tables, regions, change, begun, finished, .. } = state;
        let is_small = end - start <= AT_ONCE * PAGE_SIZE && start / WINDOW == (end - 1) / WINDOW;
        if !is_small || change.is_some() {
            return AtOnce::No;
        }
        let is_whole = |region: &Region| {
            region.start() == start && region.end() == end && region.object().is_some()
        };
        let found = regions.find(start).filter(|found| found.region().is_some_and(is_whole));
        let leaf = tables.leaf(start).filter(|leaf| leaf.needed() > 1);
        let (Some(found), Some(mut leaf)) = (found, leaf) else { return AtOnce::No };
        // Who looks at a range before it changes that sees that this was one.
        *begun += 1;
        if leaf.unmap(start, end) {
            if self.take_note_of_others(cpu) {
                *change = Some(Change::felt(Kind::Unmap, start, end));
                return AtOnce::Begun;
            }
            if self.is_loaded_here() {
                shootdown::forget(&(start..end));
            }
        }
        leaf.let_go();
        *finished = *begun;
        found.remove().map_or(AtOnce::No, AtOnce::Gone)
    }
}
