//! Touches of pages that are not mapped, or not so: what a page fault finds.
//!
//! A page that nobody has touched gets its frame, one that is there is mapped, with some neighbours; one that
//! is shared is read where it is, and copied before it is written, at once where this is the only place that
//! shows it. Where others show it too, they have to forget it first: that is the caller's to wait for.
#![forbid(unsafe_code)]

use orbital_abi::layout::PAGE_SIZE;

use super::{
    AddressSpace, State,
    map::{populate, read_only},
    tables::WINDOW,
};
use crate::{
    arch::{Access, LeafTable, PageSize, PageTables, Protection, Table},
    memory,
    object::Ref,
    vm::{MemoryObject, memory_object::Touched, region::Region},
};

/// Pages that are mapped around one, if they are there: a block of so many.
const AROUND: u64 = 16;

/// What a touch wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To read.
    Read,
    /// To write.
    Write,
    /// To execute.
    Execute,
}

impl Wanted {
    fn is_allowed_by(self, access: Access) -> bool {
        match self {
            Self::Read => true,
            Self::Write => access == Access::ReadWrite,
            Self::Execute => access == Access::ReadExecute,
        }
    }
}

/// What there is at an address that was touched.
pub enum Resolution {
    /// The page is mapped as is wanted.
    Mapped,
    /// Nothing that the thread may touch so.
    Refused,
    /// The page is withdrawn for a moment: wait until the object settles, and try again.
    Unsettled(Ref<MemoryObject>),
    /// The object's page has to be copied before it can be written: do that, and try again.
    Shared(Ref<MemoryObject>, u64),
    /// There is no memory, which a backed quota excludes.
    NoMemory,
}

impl AddressSpace {
    /// Maps the page at `address` so that it can be touched as is `wanted`, if it may be. `cpu` is this
    /// one.
    pub fn touch(&self, address: u64, wanted: Wanted, cpu: usize) -> Resolution {
        let address = address & !(PAGE_SIZE - 1);
        let mut state = self.state.lock();
        let State { tables, regions, limbo, .. } = &mut *state;
        let Some(region) = regions.at(address).filter(|region| !region.is_leaving()) else {
            return Resolution::Refused;
        };
        let (Some(object), Some(access)) = (region.object(), region.access()) else {
            return Resolution::Refused;
        };
        if !wanted.is_allowed_by(access) {
            return Resolution::Refused;
        }
        let page = region.page_at(address);
        let (touched, large) = object.with_inner(|inner| {
            let mut touched = inner.touch(page, wanted == Wanted::Write);
            if touched == Touched::Shared && inner.mappings.count() == 1 {
                touched = self.copy_here(tables, inner, address, page, cpu).unwrap_or(touched);
            }
            let window = address / WINDOW * WINDOW;
            let is_window = region.has_window(window);
            (touched, if is_window { inner.large(region.page_at(window)) } else { None })
        });
        let (frame, may_write, is_new) = match touched {
            Touched::Page { frame, may_write, is_new } => (frame, may_write, is_new),
            Touched::Withdrawn => return Resolution::Unsettled(object.clone()),
            Touched::Shared => return Resolution::Shared(object.clone(), page),
            Touched::NoMemory => return Resolution::NoMemory,
        };
        let access = if may_write { access } else { read_only(access) };
        let protection = Protection { access, cache: object.cache() };
        if let Some(first) = large {
            let window = address / WINDOW * WINDOW;
            if !tables.has(window, Table::Leaf) {
                tables.map(window, first, PageSize::Large, protection);
                return Resolution::Mapped;
            }
            // The table stays a while, and the window may need another one: both are paid.
            if self.quota.charge_frames(1).is_ok()
                && let Some(table) = tables.join(window, first, protection)
            {
                limbo.push(table);
                return Resolution::Mapped;
            }
        }
        let leaf = match tables.leaf(address) {
            Some(leaf) => Some(leaf),
            None => {
                // Charged when the region was made.
                let Some(table) = memory::allocate_zeroed_frame() else {
                    return Resolution::NoMemory;
                };
                tables.add(address, Table::Leaf, table);
                tables.leaf(address)
            }
        };
        let Some(mut leaf) = leaf else { return Resolution::NoMemory };
        leaf.map(address, frame, protection);
        if !is_new {
            around(leaf, region, object, address);
        }
        Resolution::Mapped
    }

    /// Copies a shared page that only this region shows, if no other CPU may remember it.
    fn copy_here(
        &self,
        tables: &mut PageTables,
        inner: &mut crate::vm::memory_object::Inner,
        address: u64,
        page: u64,
        cpu: usize,
    ) -> Option<Touched> {
        if tables.has(address, Table::Leaf) {
            tables.unmap(address, address + PAGE_SIZE);
        }
        if self.take_note_of_others(cpu) {
            return None;
        }
        PageTables::flush(address);
        let frame = inner.anonymous()?.copy(page);
        Some(frame.map_or(Touched::NoMemory, |frame| Touched::Page {
            frame,
            may_write: true,
            is_new: true,
        }))
    }
}

/// Maps the neighbours of a page that was there, if they are there.
fn around(leaf: LeafTable<'_>, region: &Region, object: &MemoryObject, address: u64) {
    let block = AROUND * PAGE_SIZE;
    let start = address / block * block;
    let range = start.max(region.start())..(start + block).min(region.end());
    object.with_inner(|inner| populate(leaf, region, object, inner, range));
}
