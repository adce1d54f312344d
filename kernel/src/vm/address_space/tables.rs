//! Which page tables an address space needs.
//!
//! A table is there as long as a region needs it, touched or not, so that running out of them is the
//! error of a call that maps and not of a touch. Each counts who needs it ([`PageTables::hold`]):
//!
//! | table | is needed by |
//! |---|---|
//! | leaf table | each region that has a part of its 2 MiB |
//! | directory | each of its leaf tables, and each 2 MiB that one region has as a whole |
//! | pointers | each of its directories |
//!
//! The leaf tables of 2 MiB that one region has as a whole (its *windows*) are charged when it is mapped
//! and made when one is touched, for a large page may do without.
#![forbid(unsafe_code)]

use crate::{
    arch::{LeafTable, PageTables, Table},
    memory::{self, FrameList},
    vm::region::Region,
};

/// What a leaf table maps, in bytes.
pub const WINDOW: u64 = Table::Leaf.span();

/// The first window that `[start, end)` has as a whole, and one past the last.
fn whole(start: u64, end: u64) -> (u64, u64) {
    let first = start.next_multiple_of(WINDOW);
    (first, (end / WINDOW * WINDOW).max(first))
}

/// How many windows `[start, end)` has as a whole.
pub fn windows(start: u64, end: u64) -> u64 {
    let (first, last) = whole(start, end);
    (last - first) / WINDOW
}

/// The tables of `level` that map a part of `[start, end)`, by an address of that part.
fn parts(start: u64, end: u64, level: Table) -> impl Iterator<Item = u64> {
    let span = level.span();
    let numbers = if start < end { start / span..end.div_ceil(span) } else { 0..0 };
    numbers.map(move |number| (number * span).max(start))
}

/// The windows of which `[start, end)` has a part, but not the whole: two at most.
fn partial(start: u64, end: u64) -> impl Iterator<Item = u64> {
    let (first, last) = (start / WINDOW * WINDOW, (end - 1) / WINDOW * WINDOW);
    let is_part = move |window: &u64| *window < start || end < *window + WINDOW;
    let behind = (last != first).then_some(last);
    core::iter::once(first).chain(behind).filter(is_part)
}

/// `region` is divided at `at`, which is inside of it: both parts have a part of a window then, unless they
/// meet where one begins. False without memory, which a backed quota excludes.
pub fn divide(tables: &mut PageTables, region: &Region, at: u64) -> bool {
    let window = at / WINDOW * WINDOW;
    if at == window {
        return true;
    }
    if !region.has_window(window) {
        tables.hold(window.max(region.start()), Table::Leaf, 1);
        return true;
    }
    if !tables.has(window, Table::Leaf) {
        // The window has paid for it; from now on it is as any other.
        let Some(frame) = memory::allocate_zeroed_frame() else { return false };
        if !tables.split(window, frame) {
            tables.add(window, Table::Leaf, frame);
        }
    }
    tables.hold(window, Table::Leaf, 2);
    true
}

/// How many tables are missing that [`need`] would make.
pub fn missing(tables: &PageTables, start: u64, end: u64) -> u64 {
    if is_in_one(start, end) {
        return tables.missing(start, Table::Leaf);
    }
    let is_missing = |level| move |address: &u64| !tables.has(*address, level);
    let leaves = partial(start, end).filter(is_missing(Table::Leaf)).count();
    // What has a leaf table has the others.
    if leaves == 0 && windows(start, end) == 0 {
        return 0;
    }
    let directories =
        parts(start, end, Table::Directory).filter(is_missing(Table::Directory)).count();
    let pointers = parts(start, end, Table::Pointers).filter(is_missing(Table::Pointers)).count();
    (leaves + directories + pointers) as u64
}

/// Whether `[start, end)` lies in one window, but is not all of it.
#[inline(always)]
fn is_in_one(start: u64, end: u64) -> bool {
    start / WINDOW == (end - 1) / WINDOW && end - start < WINDOW
}

/// The only table that a region `[start, end)` needs, if it lies in one window, but is not all of it, and
/// others need that leaf table already.
#[inline(always)]
pub fn only(tables: &mut PageTables, start: u64, end: u64) -> Option<LeafTable<'_>> {
    let leaf = if is_in_one(start, end) { tables.leaf(start) } else { None };
    leaf.filter(|leaf| leaf.needed() > 0)
}

/// A region `[start, end)` needs its tables. Those that are missing are made of `frames`, of which there
/// are enough, all zeroed.
pub fn need(tables: &mut PageTables, start: u64, end: u64, frames: &mut FrameList) {
    for address in partial(start, end) {
        tables.need(address, Table::Leaf, 1, frames);
    }
    let (first, last) = whole(start, end);
    for address in parts(first, last, Table::Directory) {
        let of_it = windows(address, last.min(next(address)));
        tables.need(address, Table::Directory, of_it, frames);
    }
}

/// Where the directory of `address` ends.
fn next(address: u64) -> u64 {
    (address / Table::Directory.span() + 1) * Table::Directory.span()
}

/// A region `[start, end)`, whose pages and windows' leaf tables are gone, needs its tables no more. Those
/// that nobody needs go to `out`; how many that are.
pub fn release(tables: &mut PageTables, start: u64, end: u64, out: &mut FrameList) -> u64 {
    if is_in_one(start, end) {
        return tables.release(start, Table::Leaf, 1, out);
    }
    let mut count = 0;
    for address in partial(start, end) {
        count += tables.release(address, Table::Leaf, 1, out);
    }
    let (first, last) = whole(start, end);
    for address in parts(first, last, Table::Directory) {
        let of_it = windows(address, last.min(next(address)));
        count += tables.release(address, Table::Directory, of_it, out);
    }
    count
}
