//! The page tables that this CPU has loaded, read entry by entry as the CPU does (Intel SDM volume
//! 3, 4.5): independent of the code that wrote them.

use alloc::{vec, vec::Vec};
use core::ops::Range;

use kernel::{arch::direct_map, memory::frame::Frame};
use x86_64::registers::control::Cr3;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Top-level entries of the lower half.
pub const LOWER: Range<usize> = 0..256;
/// Top-level entries of the upper half.
pub const UPPER: Range<usize> = 256..512;

/// What all levels together allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    pub write: bool,
    pub execute: bool,
    pub user: bool,
}

/// A page of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    pub address: u64,
    pub bytes: u64,
    pub physical: u64,
    pub rights: Rights,
}

impl Page {
    /// The physical addresses behind it.
    pub fn range(&self) -> Range<u64> {
        self.physical..self.physical + self.bytes
    }
}

/// What a walk comes by.
pub enum Found {
    Table(Frame),
    Page(Page),
}

/// The top-level table that is loaded.
pub fn root() -> Frame {
    Frame::containing(Cr3::read_raw().0.start_address().as_u64())
}

/// Entry `index` of the table in `frame`, whatever it says.
pub fn entry(frame: Frame, index: usize) -> u64 {
    // SAFETY: a table's frame, in the direct map. The kernel may change an entry, but not while
    // this one CPU reads it.
    unsafe { direct_map::pointer(frame).cast::<u64>().add(index).read_volatile() }
}

fn narrow(rights: Rights, entry: u64) -> Rights {
    Rights {
        write: rights.write && entry & WRITABLE != 0,
        execute: rights.execute && entry & NO_EXECUTE == 0,
        user: rights.user && entry & USER != 0,
    }
}

const ALL: Rights = Rights { write: true, execute: true, user: true };

/// Shows all tables and pages below these top-level entries of `root`, by ascending addresses.
/// `found` must not change what is walked: it allocates nothing.
pub fn walk(root: Frame, entries: Range<usize>, found: &mut dyn FnMut(Found)) {
    found(Found::Table(root));
    for index in entries {
        let address = ((index as u64) << 39 << 16) as i64 >> 16;
        visit(entry(root, index), address as u64, 39, ALL, found);
    }
}

fn visit(entry_: u64, address: u64, shift: u32, rights: Rights, found: &mut dyn FnMut(Found)) {
    if entry_ & PRESENT == 0 {
        assert_eq!(entry_, 0, "an entry that is not present says something, at {address:#x}");
        return;
    }
    let rights = narrow(rights, entry_);
    if shift == 12 || shift < 39 && entry_ & LARGE != 0 {
        let bytes = 1 << shift;
        let physical = entry_ & ADDRESS & !(bytes - 1);
        found(Found::Page(Page { address, bytes, physical, rights }));
        return;
    }
    let table = Frame::containing(entry_ & ADDRESS);
    found(Found::Table(table));
    for index in 0..512 {
        let below = address + ((index as u64) << (shift - 9));
        visit(entry(table, index), below, shift - 9, rights, found);
    }
}

/// The page that holds `address`, in the tables of `root`.
pub fn page_of(root: Frame, address: u64) -> Option<Page> {
    let (mut table, mut rights, mut shift) = (root, ALL, 39);
    loop {
        let entry = entry(table, (address >> shift & 0x1ff) as usize);
        if entry & PRESENT == 0 {
            return None;
        }
        rights = narrow(rights, entry);
        if shift == 12 || shift < 39 && entry & LARGE != 0 {
            let bytes = 1 << shift;
            let physical = entry & ADDRESS & !(bytes - 1);
            return Some(Page { address: address & !(bytes - 1), bytes, physical, rights });
        }
        table = Frame::containing(entry & ADDRESS);
        shift -= 9;
    }
}

/// The pages of the upper half that `wanted` picks.
pub fn kernel_pages(wanted: impl Fn(&Page) -> bool) -> Vec<Page> {
    let (root, mut count) = (root(), 0);
    walk(root, UPPER, &mut |_| count += 1);
    // The list may make the heap grow, and so add a few.
    let mut pages = Vec::with_capacity(count * 2);
    walk(root, UPPER, &mut |found| {
        if let Found::Page(page) = found
            && wanted(&page)
        {
            assert!(pages.len() < pages.capacity(), "the walk must not allocate");
            pages.push(page);
        }
    });
    pages
}

/// A set of frames below a number.
pub struct FrameSet(Vec<u64>);

impl FrameSet {
    /// No frames, with room for those below physical address `end`.
    pub fn below(end: u64) -> Self {
        Self(vec![0; (end / 4096 / 64 + 1) as usize])
    }

    /// Adds a frame; whether it was not there. Frames above the end count for nothing.
    pub fn insert(&mut self, frame: Frame) -> bool {
        let Some(word) = self.0.get_mut((frame.number() / 64) as usize) else { return true };
        let bit = 1 << (frame.number() % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    /// Adds the frames of a physical range, those that it touches.
    pub fn insert_range(&mut self, range: Range<u64>) {
        for number in range.start / 4096..range.end.div_ceil(4096) {
            self.insert(Frame::new(number));
        }
    }

    /// Whether it is there.
    pub fn contains(&self, frame: Frame) -> bool {
        let word = self.0.get((frame.number() / 64) as usize);
        word.is_some_and(|word| word >> (frame.number() % 64) & 1 != 0)
    }
}
