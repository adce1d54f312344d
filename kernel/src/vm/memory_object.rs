//! Memory objects: pages with a capability. They live as long as the object: until the last capability and
//! the last mapping are gone.
//!
//! The lock of an object covers its pages and the list of its mappings. It is taken with an address
//! space's held, never the other way round.
//!
//! Pages can be *withdrawn* for a while ([`withdraw`](super::withdraw())): they are mapped nowhere, and who
//! touches one waits until the object has settled.

use core::ops::Range;

use orbital_abi::{Error, ObjectKind, layout::PAGE_SIZE};
use orbital_executor::wait_queue::WaitQueue;
use spin::{Mutex, MutexGuard};

use super::{
    mapped::Mappings,
    node::Entry,
    pages::Pages,
    reclaim::{self, Owned},
};
use crate::{
    arch::{Cache, direct_map},
    lock::lock,
    memory::frame::Frame,
    object::{Charge, Header, Object, Paid, Quota, Ref},
};

/// How many pages an object can have: 4 GiB worth.
pub const MAX_PAGES: u64 = 1 << 20;

/// Pages that can be mapped.
#[repr(C)]
pub struct MemoryObject {
    header: Header,
    pages: u64,
    cache: Cache,
    inner: Mutex<Inner>,
    /// Woken when withdrawn pages may be touched again.
    settled: WaitQueue,
}

/// What an object's lock covers.
pub struct Inner {
    backing: Backing,
    /// Where it is mapped.
    pub mappings: Mappings,
    /// The pages that are withdrawn.
    withdrawn: Range<u64>,
}

enum Backing {
    /// Memory of the object's own, from the first touch of each page on.
    Anonymous(Paid<Owned>),
    /// A range of physical addresses that is there anyway: what a loader filled, or a device.
    Fixed(Frame),
    /// The object is going.
    Gone,
}

/// What someone finds who touches a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// It is there.
    Page {
        /// Its frame.
        frame: Frame,
        /// Whether it may be mapped for writing.
        may_write: bool,
        /// Nobody has touched it before.
        is_new: bool,
    },
    /// It is withdrawn.
    Withdrawn,
    /// It is to be written and others have it too: it has to be copied.
    Shared,
    /// There is no memory, which a backed quota excludes.
    NoMemory,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for MemoryObject {
    const KIND: Option<ObjectKind> = Some(ObjectKind::MemoryObject);
}

impl MemoryObject {
    /// An object of `bytes` that nobody has touched, paid by `quota` at once.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `bytes` is 0, no multiple of the page size, or above 4 GiB;
    /// [`Error::QuotaExceeded`].
    pub fn new(bytes: u64, quota: &Ref<Quota>) -> Result<Ref<Self>, Error> {
        let count = bytes / PAGE_SIZE;
        if !bytes.is_multiple_of(PAGE_SIZE) || count == 0 || count > MAX_PAGES {
            return Err(Error::InvalidArgument);
        }
        let charge = Charge::new(quota, Pages::frames(count), Pages::kernel_bytes(count))?;
        let owned = Paid::new(Owned::new(Pages::new(count)?, charge), quota)?;
        Self::with(count, Cache::WriteBack, Backing::Anonymous(owned), quota)
    }

    /// An object over the whole frames of `[start, end)`, which stay for good: what a loader filled, or a
    /// device's. `quota` pays for the object itself.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`].
    pub fn fixed(
        start: u64,
        end: u64,
        cache: Cache,
        quota: &Ref<Quota>,
    ) -> Result<Ref<Self>, Error> {
        let first = Frame::containing(start);
        let pages = end.div_ceil(PAGE_SIZE) - first.number();
        Self::with(pages, cache, Backing::Fixed(first), quota)
    }

    fn with(
        pages: u64,
        cache: Cache,
        backing: Backing,
        quota: &Ref<Quota>,
    ) -> Result<Ref<Self>, Error> {
        let object = Self {
            header: Header::new::<Self>(),
            pages,
            cache,
            inner: Mutex::new(Inner { backing, mappings: Mappings::new(), withdrawn: 0..0 }),
            settled: WaitQueue::new(),
        };
        Ref::new_in(quota, object)
    }

    /// How many pages it has.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// How its pages are to be mapped.
    pub fn cache(&self) -> Cache {
        self.cache
    }

    /// Whether its pages are a device's registers.
    pub fn is_device(&self) -> bool {
        self.cache != Cache::WriteBack
    }

    /// What the lock covers, for a few steps. Who has it takes no other lock but those of memory, and that of an
    /// object that nobody else has yet.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Runs `f` on what the lock covers.
    pub(super) fn with_inner<R>(&self, f: impl FnOnce(&mut Inner) -> R) -> R {
        f(&mut self.lock())
    }

    /// Writes `bytes` at `offset`, before anybody else sees the object. What lies outside it is left out.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory, which a backed quota excludes.
    pub fn write(&self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Error> {
        while offset / PAGE_SIZE < self.pages && !bytes.is_empty() {
            let start = (offset % PAGE_SIZE) as usize;
            let length = bytes.len().min(PAGE_SIZE as usize - start);
            let touched = self.with_inner(|inner| inner.touch(offset / PAGE_SIZE, true));
            let Touched::Page { frame, .. } = touched else { return Err(Error::QuotaExceeded) };
            direct_map::write(frame, start, &bytes[..length]);
            bytes = &bytes[length..];
            offset += length as u64;
        }
        Ok(())
    }

    /// The frame of page `page`, if it was touched and is not withdrawn.
    pub fn frame(&self, page: u64) -> Option<Frame> {
        let is_inside = page < self.pages;
        is_inside.then(|| self.with_inner(|inner| inner.present(page)))?.map(|(frame, _)| frame)
    }

    /// Waits until nothing is withdrawn.
    pub async fn settle(&self) {
        self.settled.wait_until(|| self.with_inner(|inner| inner.withdrawn.is_empty())).await;
    }

    /// Withdraws `pages`, if none are withdrawn: nobody maps them from now on.
    pub(super) fn begin_withdrawal(&self, pages: &Range<u64>) -> bool {
        self.with_inner(|inner| {
            let is_free = inner.withdrawn.is_empty();
            if is_free {
                inner.withdrawn = pages.clone();
                inner.mappings.begin_walk();
            }
            is_free
        })
    }

    /// Withdrawn pages may be touched again.
    pub(super) fn end_withdrawal(&self) {
        self.with_inner(|inner| inner.withdrawn = 0..0);
        self.settled.wake_all();
    }
}

impl Inner {
    /// Page `page` as someone finds it who reads, or writes.
    pub fn touch(&mut self, page: u64, is_write: bool) -> Touched {
        if self.withdrawn.contains(&page) {
            return Touched::Withdrawn;
        }
        let pages = match &mut self.backing {
            Backing::Anonymous(owned) => &mut owned.pages,
            Backing::Fixed(first) => {
                let frame = Frame::new(first.number() + page);
                return Touched::Page { frame, may_write: true, is_new: false };
            }
            Backing::Gone => return Touched::NoMemory,
        };
        match pages.get(page) {
            None => match pages.touch(page) {
                Some(frame) => Touched::Page { frame, may_write: true, is_new: true },
                None => Touched::NoMemory,
            },
            Some(found) => {
                let may_write = !found.is_shared || is_write && pages.is_last(page);
                if is_write && !may_write {
                    return Touched::Shared;
                }
                Touched::Page { frame: found.frame, may_write, is_new: false }
            }
        }
    }

    /// The frame of page `page`, and whether it may be mapped for writing, if it is there already.
    #[inline]
    pub fn present(&self, page: u64) -> Option<(Frame, bool)> {
        if self.withdrawn.contains(&page) {
            return None;
        }
        match &self.backing {
            Backing::Anonymous(owned) => {
                owned.pages.get(page).map(|page| (page.frame, !page.is_shared))
            }
            Backing::Fixed(first) => Some((Frame::new(first.number() + page), true)),
            Backing::Gone => None,
        }
    }

    /// What stands for `pages`, where that is a part of a short list and [present](Inner::present) if it was touched.
    #[inline(always)]
    pub fn few(&self, pages: Range<u64>) -> Option<&[Entry]> {
        match &self.backing {
            Backing::Anonymous(owned) if self.withdrawn.is_empty() => owned.pages.few(pages),
            _ => None,
        }
    }

    /// The first frame of the 2 MiB that begin with page `page`, where a large page can map them.
    pub fn large(&self, page: u64) -> Option<Frame> {
        if !self.withdrawn.is_empty() {
            return None;
        }
        match &self.backing {
            Backing::Anonymous(owned) => owned.pages.large(page),
            Backing::Fixed(first) => {
                let frame = first.number() + page;
                frame.is_multiple_of(512).then_some(Frame::new(frame))
            }
            Backing::Gone => None,
        }
    }

    /// The frame of page `page` of an object whose frames are there anyway.
    pub fn fixed(&self, page: u64) -> Option<Frame> {
        match &self.backing {
            Backing::Fixed(first) => Some(Frame::new(first.number() + page)),
            Backing::Anonymous(_) | Backing::Gone => None,
        }
    }

    /// The pages of an anonymous object.
    pub fn anonymous(&mut self) -> Option<&mut Pages> {
        match &mut self.backing {
            Backing::Anonymous(owned) => Some(&mut owned.pages),
            Backing::Fixed(_) | Backing::Gone => None,
        }
    }
}

impl Drop for MemoryObject {
    fn drop(&mut self) {
        let backing = core::mem::replace(&mut self.inner.get_mut().backing, Backing::Gone);
        if let Backing::Anonymous(owned) = backing {
            reclaim::give(owned);
        }
    }
}
