//! The tables over an address, one leading to the next.
#![forbid(unsafe_code)]

use super::paging::{PageTables, above};
use crate::{arch::Table, memory::FrameList};

impl PageTables {
    /// How many of the tables from `level` up are missing over `address`.
    pub fn missing(&self, address: u64, level: Table) -> u64 {
        match self.has(address, level) {
            true => 0,
            false => 1 + above(level).map_or(0, |above| self.missing(address, above)),
        }
    }

    /// Counts `times` more who need the table of this level over `address`. It and those above are made where they
    /// are missing, of `frames`, which are zeroed; each needs the one above.
    ///
    /// # Panics
    /// When those are not enough.
    pub fn need(&mut self, address: u64, level: Table, times: u64, frames: &mut FrameList) {
        if !self.has(address, level) {
            if let Some(above) = above(level) {
                self.need(address, above, 1, frames);
            }
            self.add(address, level, frames.pop().expect("a frame for each table"));
        }
        self.hold(address, level, times);
    }

    /// Counts `times` less who need the table of this level over `address`. One that nobody needs any more is taken out,
    /// with those above that nobody else needs, and goes to `out`. How many that are.
    pub fn release(&mut self, address: u64, level: Table, times: u64, out: &mut FrameList) -> u64 {
        if !self.let_go(address, level, times) {
            return 0;
        }
        out.push(self.remove(address, level).expect("a table that was needed"));
        1 + above(level).map_or(0, |above| self.release(address, above, 1, out))
    }
}
