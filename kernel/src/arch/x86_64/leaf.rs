//! One leaf table of an address space, found once for all that is done with it: a walk from the root takes
//! more than anything that follows.

use orbital_abi::layout::PAGE_SIZE;
use x86_64::{
    PhysAddr,
    structures::paging::{PageTable, PageTableFlags as Flags, page_table::PageTableEntry},
};

use super::paging::{PageTables, count, count_less, count_more, flags, frame_of, index, table};
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
    #[inline(always)]
    pub fn leaf(&mut self, address: u64) -> Option<LeafTable<'_>> {
        // SAFETY: each is the root, or a table that an entry of these tables leads to, which are borrowed for
        // writing; the leaf table is another than the directory.
        unsafe {
            let pointers = below(table(self.root), address, Table::Pointers)?;
            let directory = below(pointers, address, Table::Directory)?;
            let entry = &mut (&mut (*directory))[index(address, Table::Directory as u32)];
            let kind = entry.flags() & (Flags::PRESENT | Flags::HUGE_PAGE);
            let pages = &mut *table(frame_of(entry)).cast();
            (kind == Flags::PRESENT).then_some(LeafTable { entry, pages })
        }
    }
}

/// The table of `level` over `address`, by the one above, if there is one. Above directories all entries lead
/// to tables.
///
/// # Safety
/// `above` is a table of the next level.
unsafe fn below(above: *mut PageTable, address: u64, level: Table) -> Option<*mut PageTable> {
    // SAFETY: the caller's.
    let entry = unsafe { &(&(*above))[index(address, level as u32 + 1)] };
    entry.flags().contains(Flags::PRESENT).then(|| table(frame_of(entry)))
}

impl LeafTable<'_> {
    /// How many need it.
    pub fn needed(&self) -> u64 {
        count(self.entry)
    }

    /// Counts one more who needs it.
    pub fn hold(&mut self) {
        count_more(self.entry, 1);
    }

    /// Counts one less; whether nobody needs it any more.
    pub fn let_go(&mut self) -> bool {
        count_less(self.entry, 1);
        count(self.entry) == 0
    }

    /// The entries of `[start, end)`, which begins in what the table maps, as far as it has them.
    fn pages(&mut self, start: u64, end: u64) -> &mut [PageTableEntry] {
        let pages = &mut self.pages[index(start, Table::Leaf as u32)..];
        let count = ((end - start) / PAGE_SIZE) as usize;
        let count = count.min(pages.len());
        &mut pages[..count]
    }

    /// Maps the page at `address`, which lies in what it maps, to `frame`.
    #[inline(always)]
    pub fn map(&mut self, address: u64, frame: Frame, protection: Protection) {
        let entry = &mut self.pages[index(address, Table::Leaf as u32)];
        entry.set_addr(PhysAddr::new(frame.address()), flags(protection, PageSize::Small));
    }

    /// Removes the pages in `[start, end)`, which lies in what it maps. Whether there was any.
    #[inline]
    pub fn unmap(&mut self, start: u64, end: u64) -> bool {
        let pages = self.pages(start, end);
        let any = pages.iter().any(|entry| !entry.is_unused());
        if any {
            pages.fill(PageTableEntry::new());
        }
        any
    }
}
