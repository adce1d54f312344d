//! An object's pages leave this address space for a moment ([`withdraw`](crate::vm::withdraw())): the
//! mapping stays.
#![forbid(unsafe_code)]

use core::ops::Range;

use super::{AddressSpace, State, budget::Budget, pages::each_part};
use crate::{object::Ref, vm::MemoryObject};

impl AddressSpace {
    /// Removes some of `pages` from the region that begins at `start`, if it still shows `object`, from
    /// page `from` on. Gives the page to go on from; `None` when all are removed.
    pub fn withdraw_step(
        &self,
        start: u64,
        object: &Ref<MemoryObject>,
        pages: &Range<u64>,
        from: u64,
    ) -> Option<u64> {
        let mut state = self.state.lock();
        let State { tables, regions, .. } = &mut *state;
        let region = regions.at(start).filter(|region| region.start() == start)?;
        if !region.object().is_some_and(|own| own.is(object)) {
            return None;
        }
        let first = from.max(pages.start).max(region.first_page());
        let behind = pages.end.min(region.page_at(region.end()));
        if first >= behind {
            return None;
        }
        let (at, end) = (region.address_of(first), region.address_of(behind));
        let unmap = |tables: &mut crate::arch::PageTables, start, end| {
            tables.unmap(start, end);
        };
        let stopped = each_part(tables, at, end, &mut Budget::new(), unmap);
        (stopped < end).then(|| region.page_at(stopped))
    }
}
