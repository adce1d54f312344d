//! Mapping, and looking at what is mapped. Both are done in one short step, whatever the range's size.
#![forbid(unsafe_code)]

use orbital_abi::{Error, Rights, layout::PAGE_SIZE};

use super::{AddressSpace, State, range, tables};
use crate::{
    arch::{Access, PageTables, Protection},
    memory::{self, FrameList},
    object::Ref,
    vm::{
        MemoryObject,
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
    pub fn map(space: &Ref<Self>, mapping: Mapping) -> Result<(), Error> {
        let Mapping { address, bytes, content } = mapping;
        if !bytes.is_multiple_of(PAGE_SIZE) {
            return Err(Error::InvalidArgument);
        }
        let last = content.first_page.checked_add(bytes / PAGE_SIZE);
        let pages = content.object.as_ref().map_or(u64::MAX, |object| object.pages());
        if last.is_none_or(|last| last > pages) {
            return Err(Error::InvalidArgument);
        }
        let (start, end) = range(address, bytes)?;
        let region = Region::new(space.clone().erase(), start, end, content, &space.quota)?;
        let mut state = space.state.lock();
        if state.is_closed {
            return Err(Error::Ended);
        }
        if !state.regions.is_free(start, end) {
            return Err(Error::AddressInUse);
        }
        if region.object().is_some() {
            space.make_tables(&mut state, start, end)?;
        }
        let State { tables, regions, .. } = &mut *state;
        let region = regions.add(region);
        populate(tables, region, start, end.min(start + AT_ONCE * PAGE_SIZE));
        Ok(())
    }

    /// Makes the tables of a new region.
    fn make_tables(&self, state: &mut State, start: u64, end: u64) -> Result<(), Error> {
        if tables::need_known(&mut state.tables, start, end) {
            return Ok(());
        }
        let missing = tables::missing(&state.tables, start, end);
        let mut frames = FrameList::new();
        let charged = missing + tables::windows(start, end);
        if charged > 0 {
            self.quota.charge_frames(charged)?;
            for _ in 0..missing {
                let Some(frame) = memory::allocate_frame() else {
                    self.quota.refund_frames(charged);
                    return Err(Error::QuotaExceeded);
                };
                frames.push(frame);
            }
        }
        tables::need(&mut state.tables, start, end, &mut frames);
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

/// Maps the pages of `[start, end)`, a part of `region`, that are there and whose leaf table is.
pub(super) fn populate(tables: &mut PageTables, region: &Region, start: u64, end: u64) {
    let (Some(object), Some(access)) = (region.object(), region.access()) else { return };
    let end = end.min((start / tables::WINDOW + 1) * tables::WINDOW);
    let cache = object.cache();
    let first = region.page_at(start);
    object.with_inner(|inner| {
        tables.map_each(start, end, |page| {
            let (frame, may_write) = inner.present(first + page)?;
            let access = if may_write { access } else { read_only(access) };
            Some((frame, Protection { access, cache }))
        });
    });
}

/// `access` without writing.
pub(super) fn read_only(access: Access) -> Access {
    match access {
        Access::ReadWrite => Access::Read,
        access => access,
    }
}
