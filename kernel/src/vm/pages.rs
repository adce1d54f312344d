//! The pages of anonymous memory: which frames an object has. A page gets its frame when it is first
//! touched, zeroed.
//!
//! A small object has an entry for each page on the kernel heap. A larger one is divided into chunks of 2 MiB
//! (`vm/chunk.rs`). Nothing is ever zeroed before it is needed, and no step is longer than a page.
//!
//! All frames that an object can ever have are charged when it is made, so a touch finds one.
#![forbid(unsafe_code)]

use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

use orbital_abi::Error;

use super::{
    chunk::{CHUNK, Chunk},
    node::Entry,
};
use crate::{
    arch::direct_map,
    memory::{self, frame::Frame},
};

/// Objects up to this size in pages have their entries on the kernel heap.
const FEW: u64 = 64;
/// Objects of which no more pages were touched are given back at once.
const LITTLE: usize = 16;

/// Pages 0 to `count`, touched or not.
pub struct Pages {
    count: u64,
    store: Store,
}

enum Store {
    Few(Box<[Entry]>),
    Many(Box<[Chunk]>),
}

/// A page that was touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its frame.
    pub frame: Frame,
    /// Other objects have the frame too.
    pub is_shared: bool,
}

fn boxed<T: Default>(count: u64) -> Result<Box<[T]>, Error> {
    let mut list = Vec::new();
    list.try_reserve_exact(count as usize).map_err(|_| Error::QuotaExceeded)?;
    list.resize_with(count as usize, T::default);
    Ok(list.into_boxed_slice())
}

impl Pages {
    /// So many pages that nobody has touched.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory for the books.
    pub fn new(count: u64) -> Result<Self, Error> {
        let store = match count {
            ..=FEW => Store::Few(boxed(count)?),
            _ => Store::Many(boxed(count.div_ceil(CHUNK))?),
        };
        Ok(Self { count, store })
    }

    /// Frames that so many pages take at most, those for entries among them.
    pub fn frames(count: u64) -> u64 {
        if count <= FEW { count } else { count + count.div_ceil(CHUNK) }
    }

    /// Kernel memory that so many pages take, in bytes.
    pub fn kernel_bytes(count: u64) -> u64 {
        match count {
            ..=FEW => count * size_of::<Entry>() as u64,
            _ => count.div_ceil(CHUNK) * size_of::<Chunk>() as u64,
        }
    }

    /// How many pages there are, touched or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn entry(&self, page: u64) -> Entry {
        match &self.store {
            Store::Few(entries) => entries[page as usize],
            Store::Many(chunks) => chunks[(page / CHUNK) as usize].entry(page % CHUNK),
        }
    }

    /// What stands for `pages`, where that is a short list.
    #[inline(always)]
    pub fn few(&self, pages: Range<u64>) -> Option<&[Entry]> {
        match &self.store {
            Store::Few(entries) => entries.get(pages.start as usize..pages.end as usize),
            Store::Many(_) => None,
        }
    }

    /// Page `page`, if it was touched.
    pub fn get(&self, page: u64) -> Option<Page> {
        let entry = self.entry(page);
        entry.page().map(|frame| Page { frame, is_shared: entry.is_shared() })
    }

    /// Page `page`, which is touched now for the first time: zeroed. `None` without memory, which a backed
    /// quota excludes.
    pub fn touch(&mut self, page: u64) -> Option<Frame> {
        debug_assert!(self.get(page).is_none(), "page {page} was touched before");
        let frame = self.add(page)?;
        direct_map::zero(frame);
        Some(frame)
    }

    /// A frame for page `page`, which was not touched; what is in it is anything.
    fn add(&mut self, page: u64) -> Option<Frame> {
        match &mut self.store {
            Store::Few(entries) => {
                let frame = memory::allocate_frame()?;
                entries[page as usize] = Entry::present(frame);
                Some(frame)
            }
            Store::Many(chunks) => {
                let pages = CHUNK.min(self.count - page / CHUNK * CHUNK);
                chunks[(page / CHUNK) as usize].touch(page % CHUNK, pages)
            }
        }
    }

    fn set(&mut self, page: u64, entry: Entry) {
        match &mut self.store {
            Store::Few(entries) => entries[page as usize] = entry,
            Store::Many(chunks) => {
                chunks[(page / CHUNK) as usize].set(page % CHUNK, entry);
            }
        }
    }

    /// The block of the chunk that begins with `page`, once all its pages were touched; `None` too where none
    /// begins.
    pub fn large(&self, page: u64) -> Option<Frame> {
        let Store::Many(chunks) = &self.store else { return None };
        if !page.is_multiple_of(CHUNK) {
            return None;
        }
        chunks[(page / CHUNK) as usize].large()
    }

    /// Makes `other`'s page `page`, which was not touched, that of these: both have the frame from now on,
    /// and who writes first copies it. Nothing where this one was not touched either. Nobody maps the page
    /// for writing. False without memory.
    pub fn share(&mut self, page: u64, other: &mut Pages) -> bool {
        let Some(found) = self.get(page) else { return true };
        if let Store::Many(chunks) = &mut other.store
            && !chunks[(page / CHUNK) as usize].expect()
        {
            return false;
        }
        if let Store::Many(chunks) = &mut self.store {
            chunks[(page / CHUNK) as usize].loosen(page % CHUNK);
        }
        memory::share(found.frame);
        self.set(page, Entry::shared(found.frame));
        other.set(page, Entry::shared(found.frame));
        true
    }

    /// Where page `page` lies in a chunk of which no page was touched: the first page behind that chunk.
    pub fn behind_untouched(&self, page: u64) -> Option<u64> {
        let Store::Many(chunks) = &self.store else { return None };
        chunks[(page / CHUNK) as usize].is_untouched().then_some((page / CHUNK + 1) * CHUNK)
    }

    /// Whether page `page`, which was shared, is shared no more: the others have gone or have copied it.
    pub fn is_last(&mut self, page: u64) -> bool {
        let Some(found) = self.get(page) else { return true };
        let is_last = memory::owners(found.frame) == 1;
        if is_last {
            self.set(page, Entry::present(found.frame));
        }
        is_last
    }

    /// Gives page `page`, which is shared, a frame of its own with the same content. Nobody maps the page
    /// any more. `None` without memory, which a backed quota excludes.
    pub fn copy(&mut self, page: u64) -> Option<Frame> {
        let old = self.entry(page);
        let frame = memory::allocate_frame()?;
        direct_map::copy(old.page()?, frame);
        self.set(page, Entry::present(frame));
        old.free();
        Some(frame)
    }

    /// Gives page `page`, which was not touched, the content of `frame`. False without memory.
    pub fn copy_from(&mut self, page: u64, frame: Frame) -> bool {
        let new = self.add(page);
        new.inspect(|new| direct_map::copy(frame, *new)).is_some()
    }

    /// Whether giving them back takes no more than a few frames.
    pub fn is_little(&self) -> bool {
        let Store::Few(entries) = &self.store else { return false };
        let touched = entries.iter().filter(|entry| **entry != Entry::ABSENT);
        entries.len() <= LITTLE || touched.count() <= LITTLE
    }

    /// Gives back at most `budget` frames or chunks from `progress` on; whether all are gone. Nobody maps
    /// them any more.
    pub fn give_back(&mut self, progress: &mut Progress, mut budget: usize) -> bool {
        let Progress { next, within } = progress;
        match &mut self.store {
            Store::Few(entries) => {
                while budget > 0
                    && let Some(entry) = entries.get_mut(*next)
                {
                    if *entry != Entry::ABSENT {
                        core::mem::take(entry).free();
                    }
                    *next += 1;
                    budget -= 1;
                }
                *next >= entries.len()
            }
            Store::Many(chunks) => {
                while budget > 0
                    && let Some(chunk) = chunks.get_mut(*next)
                {
                    budget -= 1;
                    if chunk.free(within, &mut budget) {
                        *next += 1;
                    }
                }
                *next >= chunks.len()
            }
        }
    }
}

/// How far [`Pages::give_back`] has come.
#[derive(Default)]
pub struct Progress {
    /// The next chunk or entry.
    next: usize,
    /// The next entry of that chunk.
    within: usize,
}
