//! Page tables of an address space (Intel SDM volume 3, chapter 4): the lower half is a process's
//! own, the upper half's top-level entries are the kernel's, the same in every address space from
//! boot on.
//!
//! Nothing here makes a CPU forget a translation but the `flush` functions: who changes tables says
//! which CPUs have to, and when ([`shootdown`](crate::vm::shootdown)).

use orbital_abi::layout;
use x86_64::{
    PhysAddr, VirtAddr,
    instructions::tlb,
    registers::control::Cr3,
    structures::paging::{PageTable, PageTableFlags as Flags, page_table::PageTableEntry},
};

use super::{
    direct_map, kernel_space,
    root::{Root, tags},
};
use crate::{
    arch::{Access, Cache, PageSize, Protection, Table, Tag, Translation},
    memory::frame::Frame,
};

/// Entries of a table.
const ENTRIES: usize = 512;
/// Entries of the top level that belong to user space.
const USER_ENTRIES: usize = 256;
/// The level of the root; a [`Table`] counts up to the one below.
pub(super) const TOP: u32 = 4;
/// Bits of an entry that leads to a table: how many need that.
const COUNT: u64 = 0x3ff << COUNT_SHIFT;
const COUNT_SHIFT: u32 = 52;

/// The tables of one address space. Whoever has them frees them, table by table: they are not freed on
/// drop.
#[derive(Debug)]
pub struct PageTables {
    pub(super) root: Frame,
}

pub(super) fn table(frame: Frame) -> *mut PageTable {
    direct_map::pointer(frame).cast()
}

pub(super) fn frame_of(entry: &PageTableEntry) -> Frame {
    Frame::containing(entry.addr().as_u64())
}

/// Which entry of its table at `level` leads to `address`.
pub(super) fn index(address: u64, level: u32) -> usize {
    (address >> (12 + 9 * (level - 1)) & 0x1ff) as usize
}

pub(super) fn flags(protection: Protection, size: PageSize) -> Flags {
    // Of the attribute table's entries (`pat`), the two bits choose among the first four.
    let cache = match protection.cache {
        Cache::WriteBack => Flags::empty(),
        Cache::WriteCombining => Flags::WRITE_THROUGH,
        Cache::Uncached => Flags::WRITE_THROUGH | Flags::NO_CACHE,
    };
    let access = match protection.access {
        Access::Read => Flags::NO_EXECUTE,
        Access::ReadWrite => Flags::NO_EXECUTE | Flags::WRITABLE,
        Access::ReadExecute => Flags::empty(),
    };
    let size = match size {
        PageSize::Small => Flags::empty(),
        PageSize::Large => Flags::HUGE_PAGE,
    };
    Flags::PRESENT | Flags::USER_ACCESSIBLE | access | cache | size
}

fn protection(flags: Flags) -> Protection {
    let access = if flags.contains(Flags::WRITABLE) {
        Access::ReadWrite
    } else if flags.contains(Flags::NO_EXECUTE) {
        Access::Read
    } else {
        Access::ReadExecute
    };
    let cache = match (flags.contains(Flags::WRITE_THROUGH), flags.contains(Flags::NO_CACHE)) {
        (false, _) => Cache::WriteBack,
        (true, false) => Cache::WriteCombining,
        (true, true) => Cache::Uncached,
    };
    Protection { access, cache }
}

/// How many need the table that `entry` leads to. The count stands in bits that the CPU ignores (SDM
/// volume 3, tables 4-15 to 4-19).
pub(super) fn count(entry: &PageTableEntry) -> u64 {
    (entry.flags().bits() & COUNT) >> COUNT_SHIFT
}

/// Counts `times` more who need the table that `entry` leads to.
pub(super) fn count_more(entry: &mut PageTableEntry, times: u64) {
    debug_assert!(count(entry) + times <= 512, "a table has no more than 512 entries");
    entry.set_flags(Flags::from_bits_retain(entry.flags().bits() + (times << COUNT_SHIFT)));
}

/// Counts `times` less.
pub(super) fn count_less(entry: &mut PageTableEntry, times: u64) {
    debug_assert!(count(entry) >= times, "so many did not need the table");
    entry.set_flags(Flags::from_bits_retain(entry.flags().bits() - (times << COUNT_SHIFT)));
}

impl PageTables {
    /// Tables that map nothing but the kernel. `root` is a frame that the tables own from now on.
    pub fn new(root: Frame) -> Self {
        let (own, kernel) = (table(root), table(kernel_space::root()));
        let (own, kernel) = (own.cast::<PageTableEntry>(), kernel.cast::<PageTableEntry>());
        // SAFETY: the frame was handed over, and zeroes are unused entries; the kernel's own root is only read,
        // and its upper half never changes after boot.
        unsafe {
            own.write_bytes(0, USER_ENTRIES);
            own.add(USER_ENTRIES)
                .copy_from_nonoverlapping(kernel.add(USER_ENTRIES), ENTRIES - USER_ENTRIES);
        }
        Self { root }
    }

    /// What a CPU loads.
    pub fn root(&self) -> Root {
        Root::new(self.root)
    }

    /// The entry for `address` in the table of `level`, or in the lowest that exists above: its level
    /// comes with it.
    #[inline]
    pub(super) fn entry(&self, address: u64, level: u32) -> (*mut PageTableEntry, u32) {
        let mut frame = self.root;
        let mut at = TOP;
        loop {
            // SAFETY: `frame` is the root or was read from an entry of these tables that leads to a
            // table. Whoever writes through the pointer has `&mut self`.
            let entry = unsafe { &raw mut (&mut (*table(frame)))[index(address, at)] };
            // SAFETY: as above.
            let found = unsafe { (*entry).flags() };
            if at == level || !found.contains(Flags::PRESENT) || found.contains(Flags::HUGE_PAGE) {
                return (entry, at);
            }
            // SAFETY: as above.
            frame = frame_of(unsafe { &*entry });
            at -= 1;
        }
    }

    /// Whether there is a table of this level over `address`.
    pub fn has(&self, address: u64, level: Table) -> bool {
        self.entry(address, level as u32).1 == level as u32
    }

    /// Makes the table of this level over `address` out of `frame`, which is zeroed. The one above is there, this
    /// one is not.
    pub fn add(&mut self, address: u64, level: Table, frame: Frame) {
        let (entry, found) = self.entry(address, level as u32 + 1);
        debug_assert_eq!(found, level as u32 + 1, "no table above that for {address:#x}");
        // Rights are the leaf's business: the upper levels allow all.
        let all = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
        // SAFETY: the entry is in a table of `self`, which is borrowed for writing.
        unsafe {
            debug_assert!((*entry).is_unused(), "a second table for {address:#x}");
            (*entry).set_addr(PhysAddr::new(frame.address()), all);
        }
    }

    /// Counts `times` more who need the table of this level over `address`, which is there: 512 at most.
    pub fn hold(&mut self, address: u64, level: Table, times: u64) {
        count_more(self.leading_to(address, level), times);
    }

    /// The entry that leads to the table of this level over `address`, which is there.
    fn leading_to(&mut self, address: u64, level: Table) -> &mut PageTableEntry {
        let (entry, found) = self.entry(address, level as u32 + 1);
        debug_assert!(found == level as u32 + 1, "no table for {address:#x}");
        // SAFETY: as in `add`.
        unsafe { &mut *entry }
    }

    /// Takes the table of this level over `address` out and gives its frame, if there is one. It is
    /// empty, but CPUs may still walk it until they forget their translations.
    pub fn remove(&mut self, address: u64, level: Table) -> Option<Frame> {
        if !self.has(address, level) {
            return None;
        }
        let (entry, _) = self.entry(address, level as u32 + 1);
        // SAFETY: as in `add`.
        unsafe {
            let frame = frame_of(&*entry);
            debug_assert!(direct_map::is_zero(frame), "not empty");
            (*entry).set_unused();
            Some(frame)
        }
    }

    /// Maps `address` to `frame`. The table that its entry stands in is there ([`PageTables::has`]); what
    /// the entry was is overwritten.
    pub fn map(&mut self, address: u64, frame: Frame, size: PageSize, protection: Protection) {
        debug_assert!(address < layout::USER_END && address.is_multiple_of(size.bytes()));
        let wanted = match size {
            PageSize::Small => Table::Leaf,
            PageSize::Large => Table::Directory,
        } as u32;
        let (entry, level) = self.entry(address, wanted);
        debug_assert_eq!(level, wanted, "no table for {address:#x}");
        // SAFETY: as in `add`.
        unsafe { (*entry).set_addr(PhysAddr::new(frame.address()), flags(protection, size)) };
    }

    /// The entries of the pages in `[start, end)`, which lies under one leaf table or, where a large page
    /// is mapped, is the whole of it.
    fn pages(&mut self, start: u64, end: u64) -> &mut [PageTableEntry] {
        let (entry, level) = self.entry(start, Table::Leaf as u32);
        // SAFETY: the entry is in a table of `self`, which is borrowed for writing.
        let is_large = unsafe { (*entry).flags() }.contains(Flags::HUGE_PAGE);
        let count = match level == Table::Leaf as u32 {
            true => ((end - start) / layout::PAGE_SIZE) as usize,
            false => usize::from(is_large),
        };
        debug_assert!(
            !is_large || end - start == PageSize::Large.bytes(),
            "a part of a large page"
        );
        // SAFETY: as above; a leaf table's entries follow each other, and the range does not leave it.
        unsafe { core::slice::from_raw_parts_mut(entry, count) }
    }

    /// Removes the pages in `[start, end)`, which lies under one leaf table or, where a large page is
    /// mapped, is the whole of it. Whether there was any.
    pub fn unmap(&mut self, start: u64, end: u64) -> bool {
        let mut any = false;
        for entry in self.pages(start, end) {
            any |= !entry.is_unused();
            entry.set_unused();
        }
        any
    }

    /// Takes from the pages in `[start, end)`, a range as for [`PageTables::unmap`], what `access` does
    /// not allow. Whether that took anything from any.
    pub fn restrict(&mut self, start: u64, end: u64, access: Access) -> bool {
        let mut any = false;
        for entry in self.pages(start, end).iter_mut().filter(|entry| !entry.is_unused()) {
            let mut flags = entry.flags();
            if access != Access::ReadWrite {
                flags.remove(Flags::WRITABLE);
            }
            if access != Access::ReadExecute {
                flags.insert(Flags::NO_EXECUTE);
            }
            any |= flags != entry.flags();
            entry.set_flags(flags);
        }
        any
    }

    /// Maps a large page's frames by small pages, in a leaf table made of `frame`. False, and `frame` is
    /// not used, where no large page is mapped.
    pub fn split(&mut self, address: u64, frame: Frame) -> bool {
        let (entry, level) = self.entry(address, Table::Directory as u32);
        // SAFETY: as in `add`; `frame` was handed over.
        unsafe {
            if level != Table::Directory as u32 || !(*entry).flags().contains(Flags::HUGE_PAGE) {
                return false;
            }
            let first = frame_of(&*entry).address();
            let small = (*entry).flags() & !Flags::HUGE_PAGE;
            for (page, entry) in (*table(frame)).iter_mut().enumerate() {
                entry.set_addr(PhysAddr::new(first + page as u64 * layout::PAGE_SIZE), small);
            }
            let all = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
            (*entry).set_addr(PhysAddr::new(frame.address()), all);
        }
        true
    }

    /// Maps by one large page what a leaf table maps: frames in a row from `first` on, all with
    /// `protection`. Gives the table's frame, which CPUs may still walk.
    pub fn join(&mut self, address: u64, first: Frame, protection: Protection) -> Option<Frame> {
        if !self.has(address, Table::Leaf) {
            return None;
        }
        let (entry, _) = self.entry(address, Table::Directory as u32);
        // SAFETY: as in `add`.
        unsafe {
            let table = frame_of(&*entry);
            let flags = flags(protection, PageSize::Large);
            (*entry).set_addr(PhysAddr::new(first.address()), flags);
            Some(table)
        }
    }

    /// What `address` leads to, if it is mapped.
    pub fn translate(&self, address: u64) -> Option<Translation> {
        let (entry, level) = self.entry(address, Table::Leaf as u32);
        // SAFETY: the entry is in a table of `self`, which is borrowed.
        let entry = unsafe { &*entry };
        let flags = entry.flags();
        if !flags.contains(Flags::PRESENT) {
            return None;
        }
        let (size, offset) = match level == Table::Leaf as u32 {
            true => (PageSize::Small, 0),
            false => (PageSize::Large, address % PageSize::Large.bytes() / layout::PAGE_SIZE),
        };
        let frame = Frame::new(frame_of(entry).number() + offset);
        let Protection { access, cache } = protection(flags);
        Some(Translation { frame, access, cache, size })
    }

    /// Takes the root, the last table that is left. No CPU has it loaded.
    pub fn take_root(&mut self) -> Option<Frame> {
        let root = core::mem::replace(&mut self.root, kernel_space::root());
        (root != kernel_space::root()).then_some(root)
    }

    /// Makes this CPU forget what it knows of the page at `address` of the tables that it has loaded.
    pub fn flush(address: u64) {
        tlb::flush(VirtAddr::new(address));
    }

    /// Makes this CPU forget all user translations of the tables that it has loaded.
    pub fn flush_user() {
        let (root, low_bits) = Cr3::read_raw();
        // SAFETY: what is loaded, once more.
        unsafe { Cr3::write_raw(root, low_bits) };
    }

    /// Loads the tables that map nothing but the kernel.
    pub fn load_kernel() {
        Root::new(kernel_space::root()).load((tags() > 0).then_some(Tag::Kernel));
    }
}
