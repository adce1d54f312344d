//! Going over the mapped pages of a range in steps of bounded length.
#![forbid(unsafe_code)]

use orbital_abi::layout::PAGE_SIZE;

use super::tables::WINDOW;
use crate::arch::{PageTables, Table};

/// What is left of a step: one is an entry of a table, or a table that is not there.
pub struct Budget(u64);

/// How much a step may do.
const UNITS: u64 = 128;
/// What a region costs, whatever its size.
const REGION: u64 = 24;

impl Budget {
    /// For a whole step.
    pub fn new() -> Self {
        Self(UNITS)
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.0 == 0
    }

    /// Takes what a region costs.
    pub fn take_region(&mut self) {
        self.0 = self.0.saturating_sub(REGION);
    }
}

/// Calls `f` for parts of `[start, end)` that lie under one leaf table, or are all of a large page, as long
/// as there is budget. Parts without either are passed over. Gives where it stopped.
pub fn each_part(
    tables: &mut PageTables,
    start: u64,
    end: u64,
    budget: &mut Budget,
    mut f: impl FnMut(&mut PageTables, u64, u64),
) -> u64 {
    let mut at = start;
    while at < end && !budget.is_spent() {
        let window_end = end.min((at / WINDOW + 1) * WINDOW);
        if tables.has(at, Table::Leaf) {
            let upto = window_end.min(at + budget.0 * PAGE_SIZE);
            budget.0 -= (upto - at) / PAGE_SIZE;
            f(tables, at, upto);
            at = upto;
        } else {
            budget.0 -= 1;
            f(tables, at, window_end);
            at = window_end;
        }
    }
    at
}
