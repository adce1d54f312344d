//! Memory objects: pages with a capability.

use alloc::vec::Vec;

use orbital_abi::{Error, ObjectKind, layout::PAGE_SIZE};

use crate::{
    arch::direct_map,
    memory::{self, frame::Frame},
    object::{Charge, Header, Object, Quota, Ref},
};

/// How many pages an object can have: 4 GiB worth.
const MAX_PAGES: u64 = 1 << 20;

/// Pages that can be mapped. They live as long as the object: until the last capability and the
/// last mapping are gone.
#[repr(C)]
pub struct MemoryObject {
    header: Header,
    backing: Backing,
    _charge: Option<Charge>,
}

enum Backing {
    /// Frames that were allocated for the object and return with it.
    Owned(Vec<Frame>),
    /// A range that a loader filled; it stays for good.
    Module { first: Frame, pages: u64 },
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for MemoryObject {
    const KIND: Option<ObjectKind> = Some(ObjectKind::MemoryObject);
}

impl MemoryObject {
    /// How many pages it has.
    pub fn pages(&self) -> u64 {
        match &self.backing {
            Backing::Owned(frames) => frames.len() as u64,
            Backing::Module { pages, .. } => *pages,
        }
    }

    /// The frame behind page `page`.
    pub fn frame(&self, page: u64) -> Option<Frame> {
        match &self.backing {
            Backing::Owned(frames) => frames.get(usize::try_from(page).ok()?).copied(),
            Backing::Module { first, pages } => {
                (page < *pages).then(|| Frame::new(first.number() + page))
            }
        }
    }

    /// An object over the whole frames of `[start, end)`, which a loader filled.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory for the object itself.
    pub fn module(start: u64, end: u64) -> Result<Ref<Self>, Error> {
        let first = Frame::containing(start);
        let pages = end.div_ceil(PAGE_SIZE) - first.number();
        Ref::new(Self {
            header: Header::new::<Self>(),
            backing: Backing::Module { first, pages },
            _charge: None,
        })
    }
}

impl Drop for MemoryObject {
    fn drop(&mut self) {
        if let Backing::Owned(frames) = &self.backing {
            for frame in frames {
                memory::free_frame(*frame);
            }
        }
    }
}

/// A memory object in the making: its frames are allocated and zeroed a few at a time.
pub struct Builder {
    frames: Vec<Frame>,
    wanted: usize,
    charge: Option<Charge>,
}

impl Builder {
    /// Starts an object of `bytes`, paid by `quota` at once.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `bytes` is 0, no multiple of the page size, or above 4 GiB;
    /// [`Error::QuotaExceeded`].
    pub fn new(bytes: u64, quota: &Ref<Quota>) -> Result<Self, Error> {
        let pages = bytes / PAGE_SIZE;
        if !bytes.is_multiple_of(PAGE_SIZE) || pages == 0 || pages > MAX_PAGES {
            return Err(Error::InvalidArgument);
        }
        let list = pages * size_of::<Frame>() as u64;
        let kernel_bytes = list + size_of::<MemoryObject>() as u64;
        let charge = Charge::new(quota, pages, kernel_bytes)?;
        let mut frames = Vec::new();
        frames.try_reserve_exact(pages as usize).map_err(|_| Error::QuotaExceeded)?;
        Ok(Self { frames, wanted: pages as usize, charge: Some(charge) })
    }

    /// Allocates and zeroes up to `budget` more frames; whether all are there.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] when the machine has none left, which a backed quota excludes.
    pub fn step(&mut self, budget: usize) -> Result<bool, Error> {
        for _ in 0..budget.min(self.wanted - self.frames.len()) {
            let frame = memory::allocate_frame().ok_or(Error::QuotaExceeded)?;
            direct_map::zero(frame);
            self.frames.push(frame);
        }
        Ok(self.frames.len() == self.wanted)
    }

    /// Writes `bytes` at `offset`, before anybody else sees the object. What lies outside the
    /// frames that are there is left out.
    pub fn write(&mut self, mut offset: usize, mut bytes: &[u8]) {
        let page = PAGE_SIZE as usize;
        while let Some(frame) = self.frames.get(offset / page)
            && !bytes.is_empty()
        {
            let length = bytes.len().min(page - offset % page);
            direct_map::write(*frame, offset % page, &bytes[..length]);
            bytes = &bytes[length..];
            offset += length;
        }
    }

    /// The object, once all its frames are there.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory for the object itself.
    pub fn finish(mut self) -> Result<Ref<MemoryObject>, Error> {
        debug_assert_eq!(self.frames.len(), self.wanted, "finished before all frames are there");
        let frames = core::mem::take(&mut self.frames);
        Ref::new(MemoryObject {
            header: Header::new::<MemoryObject>(),
            backing: Backing::Owned(frames),
            _charge: self.charge.take(),
        })
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        for frame in &self.frames {
            memory::free_frame(*frame);
        }
    }
}
