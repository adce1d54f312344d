//! One leaf table of an address space, found once for all that is done with it: a walk from the root takes
//! more than anything that follows.

use orbital_abi::layout::PAGE_SIZE;
use x86_64::{
    PhysAddr,
    structures::paging::{PageTableFlags as Flags, page_table::PageTableEntry},
};

use super::paging::{PageTables, count, flags, frame_of, index, recount, table};
use crate::{
    arch::{PageSize, Protection, Table},
    memory::frame::Frame,
};

/// A leaf table that is there, with the pages in it.
pub struct LeafTable<'a> {
    /// What leads to it, in its directory.
    entry: &'a mut PageTableEntry,
    pages: &'a mut [PageTableEntry; 512],
}

impl PageTables {
    /// The leaf table over `address`, if there is one.
    #[inline]
    pub fn leaf(&mut self, address: u64) -> Option<LeafTable<'_>> {
        let (entry, level) = self.entry(address, Table::Directory as u32);
        // SAFETY: the entry is in a table of `self`, which is borrowed for writing.
        let entry = unsafe { &mut *entry };
        let kind = entry.flags() & (Flags::PRESENT | Flags::HUGE_PAGE);
        if level != Table::Directory as u32 || kind != Flags::PRESENT {
            return None;
        }
        // SAFETY: as above; a table is its 512 entries, and this is another than the directory.
        let pages = unsafe { &mut *table(frame_of(entry)).cast() };
        Some(LeafTable { entry, pages })
    }
}

impl LeafTable<'_> {
    /// How many need it.
    pub fn needed(&self) -> u64 {
        count(self.entry)
    }

    /// Counts one more who needs it.
    pub fn hold(&mut self) {
        recount(self.entry, |count| count + 1);
    }

    /// Counts one less; whether nobody needs it any more.
    pub fn let_go(&mut self) -> bool {
        recount(self.entry, |count| count.saturating_sub(1)) == 0
    }

    /// The entries of `[start, end)`, which lies in what the table maps.
    fn pages(&mut self, start: u64, end: u64) -> &mut [PageTableEntry] {
        let (first, count) = (index(start, Table::Leaf as u32), (end - start) / PAGE_SIZE);
        &mut self.pages[first..first + count as usize]
    }

    /// Maps pages in `[start, end)`, which lies in what it maps, to what `page` gives for each by its
    /// number, and leaves those alone for which it gives nothing.
    #[inline]
    pub fn map_each(
        &mut self,
        start: u64,
        end: u64,
        mut page: impl FnMut(u64) -> Option<(Frame, Protection)>,
    ) {
        for (number, entry) in (0..).zip(self.pages(start, end)) {
            if let Some((frame, protection)) = page(number) {
                let flags = flags(protection, PageSize::Small);
                entry.set_addr(PhysAddr::new(frame.address()), flags);
            }
        }
    }

    /// Removes the pages in `[start, end)`, which lies in what it maps. Whether there was any.
    #[inline]
    pub fn unmap(&mut self, start: u64, end: u64) -> bool {
        let mut any = false;
        for entry in self.pages(start, end) {
            any |= !entry.is_unused();
            entry.set_unused();
        }
        any
    }
}
