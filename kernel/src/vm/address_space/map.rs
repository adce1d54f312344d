//! Mapping, and looking at what is mapped. Both are done in one short step, whatever the range's size.
#![forbid(unsafe_code)]

use core::ops::Range;

use orbital_abi::{CapSlot, Error, Rights, layout::PAGE_SIZE};

use super::{AddressSpace, State, range, tables};
use crate::{
    arch::{Access, LeafTable, PageTables, Protection},
    capability::{Holder, Kept, Table},
    lock::lock,
    memory::{self, FrameList},
    object::{Paid, Ref, Uncounted},
    vm::{
        MemoryObject,
        memory_object::Inner,
        region::{Content, Region},
    },
};

/// Pages that are mapped at once, if they are there. The others are when they are touched.
pub(super) const AT_ONCE: u64 = 16;

/// A mapping to be made.
#[derive(Clone)]
pub struct Mapping {
    /// Where, a multiple of the page size.
    pub address: u64,
    /// How many bytes, a multiple of the page size, not 0.
    pub bytes: u64,
    /// What is mapped.
    pub content: Content,
}

/// A mapping, as [`AddressSpace::query`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its first address.
    pub start: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Where in its object it begins, in bytes.
    pub offset: u64,
    /// What it allows now; `None` is nothing.
    pub access: Option<Access>,
    /// What it may ever allow.
    pub allowed: Rights,
}

impl Mapping {
    /// All of `object` at `address`.
    pub fn whole(object: &Ref<MemoryObject>, address: u64, access: Access) -> Self {
        let content = Content {
            object: Some(object.clone()),
            first_page: 0,
            access: Some(access),
            allowed: Rights::READ | Rights::WRITE | Rights::EXECUTE,
        };
        Self { address, bytes: object.pages() * PAGE_SIZE, content }
    }
}

impl AddressSpace {
    /// Maps `mapping`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a range that is not aligned, empty, or not wholly in the object;
    /// [`Error::InvalidAddress`] outside user space; [`Error::AddressInUse`]; [`Error::QuotaExceeded`];
    /// [`Error::Ended`].
    #[inline(always)]
    pub fn map(space: &Ref<Self>, mapping: Mapping) -> Result<(), Error> {
        Self::map_kept(space, mapping, None)
    }

    /// What is to be kept of a mapping at `address` of memory to which the capability in `slot` of `table` leads: so
    /// that it goes when that is revoked.
    ///
    /// # Errors
    /// Those of [`Kept::beside`].
    #[cold]
    pub fn keep(
        &self,
        address: u64,
        (table, slot): (&Table, CapSlot),
    ) -> Result<Paid<Kept>, Error> {
        Kept::beside(table, slot, Some(Holder::new(self, address)), &self.quota)
    }

    /// The same as [`AddressSpace::map`], with what is [kept](AddressSpace::keep) of it.
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn map_kept(
        space: &Ref<Self>,
        mapping: Mapping,
        kept: Option<Paid<Kept>>,
    ) -> Result<(), Error> {
        let Mapping { address, bytes, content } = mapping;
        // Whether those are whole pages, `range` says.
        let last = content.first_page.checked_add(bytes / PAGE_SIZE);
        let pages = content.object.as_ref().map_or(u64::MAX, |object| object.pages());
        if last.is_none_or(|last| last > pages) {
            return Err(Error::InvalidArgument);
        }
        let (start, end) = range(address, bytes)?;
        let content = (content, kept);
        let region = Region::new(Uncounted::of(&**space), start, end, content, &space.quota)?;
        let mut state = lock(&space.state);
        if state.is_closed {
            return Err(Error::Ended);
        }
        let State { tables, regions, .. } = &mut *state;
        let gap = regions.gap(start, end).ok_or(Error::AddressInUse)?;
        let leaf = if region.object().is_none() {
            None
        } else if let Some(mut leaf) = tables::only(tables, start, end) {
            leaf.hold();
            Some(leaf)
        } else {
            space.make_tables(tables, start, end)?;
            tables.leaf(start)
        };
        let at_once = start..end.min(start + AT_ONCE * PAGE_SIZE);
        let (region, inner) = gap.fill(region);
        if let (Some(leaf), Some(object), Some(inner)) = (leaf, region.object(), inner) {
            populate(leaf, region, object, &inner, at_once);
        }
        Ok(())
    }

    /// Makes the tables of a new region.
    #[cold]
    fn make_tables(&self, tables: &mut PageTables, start: u64, end: u64) -> Result<(), Error> {
        let missing = tables::missing(tables, start, end);
        let mut frames = FrameList::new();
        let charged = missing + tables::windows(start, end);
        if charged > 0 {
            self.quota.charge_frames(charged)?;
            for _ in 0..missing {
                let Some(frame) = memory::allocate_zeroed_frame() else {
                    self.quota.refund_frames(charged);
                    return Err(Error::QuotaExceeded);
                };
                frames.push(frame);
            }
        }
        tables::need(tables, start, end, &mut frames);
        Ok(())
    }

    /// The mapping that holds `address`, or the next one.
    ///
    /// # Errors
    /// [`Error::InvalidAddress`] when there is none.
    pub fn query(&self, address: u64) -> Result<Found, Error> {
        let state = self.state.lock();
        let region = state.regions.from(address).ok_or(Error::InvalidAddress)?;
        Ok(Found {
            start: region.start(),
            bytes: region.end() - region.start(),
            offset: region.first_page() * PAGE_SIZE,
            access: region.access(),
            allowed: region.allowed(),
        })
    }
}

/// Maps the pages of `range`, a part of `region`, that are there and that `leaf` has, the leaf table over its
/// start. `inner` is what the lock of `object` covers, the region's.
#[inline(always)]
pub(super) fn populate(
    mut leaf: LeafTable<'_>,
    region: &Region,
    object: &MemoryObject,
    inner: &Inner,
    Range { start, end }: Range<u64>,
) {
    let Some(access) = region.access() else { return };
    let end = end.min((start / tables::WINDOW + 1) * tables::WINDOW);
    let (first, cache) = (region.page_at(start), object.cache());
    let pages = first..first + (end - start) / PAGE_SIZE;
    let Some(entries) = inner.few(pages.clone()) else {
        return populate_with_many(leaf, inner, start, pages, Protection { access, cache });
    };
    for (number, entry) in (0..).zip(entries) {
        if let Some(frame) = entry.page() {
            let access = if entry.is_shared() { read_only(access) } else { access };
            leaf.map(start + number * PAGE_SIZE, frame, Protection { access, cache });
        }
    }
}

/// Maps `pages` from `start` on, those that are there, of an object of any kind.
#[cold]
fn populate_with_many(
    mut leaf: LeafTable<'_>,
    inner: &Inner,
    start: u64,
    pages: Range<u64>,
    Protection { access, cache }: Protection,
) {
    for (number, page) in (0..).zip(pages) {
        if let Some((frame, may_write)) = inner.present(page) {
            let access = if may_write { access } else { read_only(access) };
            leaf.map(start + number * PAGE_SIZE, frame, Protection { access, cache });
        }
    }
}

/// `access` without writing.
pub(super) fn read_only(access: Access) -> Access {
    match access {
        Access::ReadWrite => Access::Read,
        access => access,
    }
}
