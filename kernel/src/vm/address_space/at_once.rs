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
    arch::Table,
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
    /// Unmaps `[start, end)`, if that is all of one small mapping, whose tables others need too and which no
    /// other CPU than `cpu`, this one, may remember.
    pub(super) fn unmap_at_once(
        &self,
        state: &mut State,
        start: u64,
        end: u64,
        cpu: usize,
    ) -> AtOnce {
        let is_small = end - start <= AT_ONCE * PAGE_SIZE && start / WINDOW == (end - 1) / WINDOW;
        let others = !(1 << cpu);
        if !is_small || state.change.is_some() || self.loaded() & others != 0 {
            return AtOnce::No;
        }
        let State { tables, regions, .. } = state;
        let is_whole = |region: &&Region| region.start() == start && region.end() == end;
        let found = regions.at(start).filter(is_whole).filter(|region| region.object().is_some());
        if found.is_none() || tables.needed(start, Table::Leaf) < 2 {
            return AtOnce::No;
        }
        if tables.unmap(start, end) {
            let loaded = self.take_note();
            if loaded & others != 0 {
                state.begun += 1;
                state.change = Some(Change::felt(Kind::Unmap, start, end));
                return AtOnce::Begun;
            }
            if loaded != 0 {
                shootdown::forget(&(start..end));
            }
        }
        tables.let_go(start, Table::Leaf, 1);
        let gone = regions.remove(start);
        // Who looks at a range before it changes that sees that this was one.
        state.begun += 1;
        state.finished = state.begun;
        gone.map_or(AtOnce::No, AtOnce::Gone)
    }
}
