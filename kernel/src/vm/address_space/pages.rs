//! Going over the mapped pages of a range in steps of bounded length.
#![forbid(unsafe_code)]

use orbital_abi::layout::PAGE_SIZE;

use super::{
    budget::{self, Budget},
    tables::WINDOW,
};
use crate::arch::{PageTables, Table};

/// Calls `f` for parts of `[start, end)` that lie under one leaf table, or are all of a large page, as long
/// as there is budget. Of parts without either it is told too, as a whole. Gives where it stopped.
pub fn each_part(
    tables: &mut PageTables,
    start: u64,
    end: u64,
    budget: &mut Budget,
    mut f: impl FnMut(&mut PageTables, u64, u64),
) -> u64 {
    let mut at = start;
    while at < end && !budget.is_spent() {
        let mut upto = end.min((at / WINDOW + 1) * WINDOW);
        budget.take(budget::WINDOW);
        if tables.has(at, Table::Leaf) {
            upto = at + budget.take_entries((upto - at) / PAGE_SIZE) * PAGE_SIZE;
        }
        f(tables, at, upto);
        at = upto;
    }
    at
}
