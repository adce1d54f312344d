//! One leaf table of an address space, as the real machine has it.
#![forbid(unsafe_code)]

use orbital_abi::layout::PAGE_SIZE;

use super::paging::PageTables;
use crate::{
    arch::{PageSize, Protection, Table},
    memory::frame::Frame,
};

/// A leaf table that is there, with the pages in it.
pub struct LeafTable<'a> {
    tables: &'a mut PageTables,
    /// The first address that it maps.
    window: u64,
}

impl PageTables {
    /// The leaf table over `address`, if there is one.
    pub fn leaf(&mut self, address: u64) -> Option<LeafTable<'_>> {
        let window = address / Table::Leaf.span() * Table::Leaf.span();
        let is_there = self.has(address, Table::Leaf);
        is_there.then_some(LeafTable { tables: self, window })
    }
}

impl LeafTable<'_> {
    /// How many need it.
    pub fn needed(&self) -> u64 {
        self.tables.needed(self.window, Table::Leaf)
    }

    /// Counts one more who needs it.
    pub fn hold(&mut self) {
        self.tables.hold(self.window, Table::Leaf, 1);
    }

    /// Counts one less; whether nobody needs it any more.
    pub fn let_go(&mut self) -> bool {
        self.tables.let_go(self.window, Table::Leaf, 1)
    }

    /// The part of `[start, end)` that it maps.
    ///
    /// # Panics
    /// When the range does not begin there.
    fn own(&self, start: u64, end: u64) -> (u64, u64) {
        let own = self.window..self.window + Table::Leaf.span();
        assert!(own.contains(&start), "{start:#x} to {end:#x} in {:#x}", self.window);
        (start, end.min(own.end))
    }

    /// Maps the page at `address`, which lies in what it maps, to `frame`.
    ///
    /// # Panics
    /// For an address elsewhere.
    pub fn map(&mut self, address: u64, frame: Frame, protection: Protection) {
        self.own(address, address + PAGE_SIZE);
        self.tables.map(address, frame, PageSize::Small, protection);
    }

    /// Removes the pages in `[start, end)`, which lies in what it maps. Whether there was any.
    ///
    /// # Panics
    /// For a range that does not.
    pub fn unmap(&mut self, start: u64, end: u64) -> bool {
        assert_eq!(self.own(start, end), (start, end), "more than the table maps");
        self.tables.unmap(start, end)
    }
}
