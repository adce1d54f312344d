//! Page tables of an address space (Intel SDM volume 3, chapter 4): the lower half is a process's
//! own, the upper half's top-level entries are the kernel's, the same in every address space from
//! boot on.

use orbital_abi::{Error, layout};
use x86_64::{
    PhysAddr, VirtAddr,
    instructions::tlb,
    registers::control::Cr3,
    structures::paging::{
        PageTable, PageTableFlags as Flags, PageTableIndex, PhysFrame, page_table::PageTableEntry,
    },
};

use super::{direct_map, kernel_space};
use crate::{
    arch::{Access, Translation},
    memory::frame::Frame,
};

/// Entries of the top level that belong to user space.
const USER_ENTRIES: usize = 256;
/// The level whose entries name pages.
const LEAF: u8 = 1;
const TOP: u8 = 4;

/// The tables of one address space. They are freed by [`PageTables::take_table`], step by step,
/// not on drop.
#[derive(Debug)]
pub struct PageTables {
    root: Frame,
}

fn table(frame: Frame) -> *mut PageTable {
    direct_map::pointer(frame).cast()
}

fn flags(access: Access) -> Flags {
    let flags = Flags::PRESENT | Flags::USER_ACCESSIBLE;
    match access {
        Access::Read => flags | Flags::NO_EXECUTE,
        Access::ReadWrite => flags | Flags::NO_EXECUTE | Flags::WRITABLE,
        Access::ReadExecute => flags,
    }
}

fn frame_of(entry: &PageTableEntry) -> Frame {
    Frame::containing(entry.addr().as_u64())
}

fn index(address: u64, level: u8) -> usize {
    PageTableIndex::new_truncate((address >> (12 + 9 * (level - 1)) & 0x1ff) as u16).into()
}

impl PageTables {
    /// Tables that map nothing but the kernel. `root` is a frame that the tables own from now on.
    pub fn new(root: Frame) -> Self {
        direct_map::zero(root);
        // SAFETY: the frame was handed over, and a zeroed frame is a valid table; the kernel's
        // own root is only read, and its upper half never changes after boot.
        unsafe {
            let (own, kernel) = (&mut *table(root), &*table(kernel_space::root()));
            for entry in USER_ENTRIES..512 {
                own[entry] = kernel[entry].clone();
            }
        }
        Self { root }
    }

    /// The entry that maps `address`, at the lowest level that exists: its level comes with it.
    fn walk(&self, address: u64) -> (&PageTableEntry, u8) {
        let mut frame = self.root;
        let mut level = TOP;
        loop {
            // SAFETY: `frame` is the root or was read from a present entry of these tables, which
            // nobody changes while `self` is borrowed.
            let entry = unsafe { &(&(*table(frame)))[index(address, level)] };
            if level == LEAF || !entry.flags().contains(Flags::PRESENT) {
                return (entry, level);
            }
            frame = frame_of(entry);
            level -= 1;
        }
    }

    /// Maps the page at `address` to `frame`. Tables that are missing are made of frames that
    /// `allocate` gives, which says [`Error::QuotaExceeded`] when there are none.
    ///
    /// # Errors
    /// [`Error::AddressInUse`] when the page is mapped, and those of `allocate`; tables made until
    /// then stay, empty.
    pub fn map(
        &mut self,
        address: u64,
        frame: Frame,
        access: Access,
        mut allocate: impl FnMut() -> Result<Frame, Error>,
    ) -> Result<(), Error> {
        debug_assert!(address < layout::USER_END && address.is_multiple_of(layout::PAGE_SIZE));
        let mut current = self.root;
        for level in (LEAF + 1..=TOP).rev() {
            // SAFETY: as in `walk`, and `self` is borrowed for writing.
            let entry = unsafe { &mut (&mut (*table(current)))[index(address, level)] };
            if entry.is_unused() {
                let new = allocate()?;
                direct_map::zero(new);
                // Rights are the leaf's business: the upper levels allow all.
                let all = Flags::PRESENT | Flags::WRITABLE | Flags::USER_ACCESSIBLE;
                entry.set_addr(PhysAddr::new(new.address()), all);
            }
            current = frame_of(entry);
        }
        // SAFETY: as above.
        let entry = unsafe { &mut (&mut (*table(current)))[index(address, LEAF)] };
        if !entry.is_unused() {
            return Err(Error::AddressInUse);
        }
        entry.set_addr(PhysAddr::new(frame.address()), flags(access));
        Ok(())
    }

    /// Removes the page at `address` and gives its frame. This CPU forgets the translation.
    pub fn unmap(&mut self, address: u64) -> Option<Frame> {
        let (entry, level) = self.walk(address);
        if level != LEAF || entry.is_unused() {
            return None;
        }
        let (frame, entry) = (frame_of(entry), core::ptr::from_ref(entry).cast_mut());
        // SAFETY: the entry lies in a table of `self`, which is borrowed for writing; the shared
        // borrow of `walk` is over.
        unsafe { (*entry).set_unused() };
        tlb::flush(VirtAddr::new(address));
        Some(frame)
    }

    /// What `address` leads to, if it is mapped.
    pub fn translate(&self, address: u64) -> Option<Translation> {
        let (entry, level) = self.walk(address);
        if level != LEAF || entry.is_unused() {
            return None;
        }
        let flags = entry.flags();
        let access = if flags.contains(Flags::WRITABLE) {
            Access::ReadWrite
        } else if flags.contains(Flags::NO_EXECUTE) {
            Access::Read
        } else {
            Access::ReadExecute
        };
        Some(Translation { frame: frame_of(entry), access })
    }

    /// Takes one table out, lowest levels first and the root last, and gives its frame; `None`
    /// when none is left. No pages may be mapped any more, and no CPU may have the tables loaded.
    pub fn take_table(&mut self) -> Option<Frame> {
        if self.root == kernel_space::root() {
            return None;
        }
        let mut current = self.root;
        let mut above: Option<(Frame, usize)> = None;
        let mut level = TOP;
        loop {
            let entries = if level == TOP { USER_ENTRIES } else { 512 };
            // SAFETY: as in `walk`.
            let found = (level > LEAF)
                .then(|| unsafe { (0..entries).find(|i| !(&(*table(current)))[*i].is_unused()) })
                .flatten();
            match found {
                Some(child) => {
                    above = Some((current, child));
                    // SAFETY: as in `walk`.
                    current = frame_of(unsafe { &(&(*table(current)))[child] });
                    level -= 1;
                }
                None => break,
            }
        }
        match above {
            // SAFETY: as in `map`.
            Some((parent, entry)) => unsafe { (&mut (*table(parent)))[entry].set_unused() },
            None => self.root = kernel_space::root(),
        }
        Some(current)
    }

    /// Loads the tables on this CPU.
    pub fn load(&self) {
        load(self.root);
    }

    /// Whether this CPU has them loaded.
    pub fn is_loaded(&self) -> bool {
        Cr3::read_raw().0.start_address().as_u64() == self.root.address()
    }

    /// Makes this CPU forget all user translations of the tables that it has loaded.
    pub fn flush_user() {
        let (root, _) = Cr3::read_raw();
        load(Frame::containing(root.start_address().as_u64()));
    }

    /// Loads the tables that map nothing but the kernel.
    pub fn load_kernel() {
        load(kernel_space::root());
    }
}

fn load(root: Frame) {
    let frame = PhysFrame::containing_address(PhysAddr::new(root.address()));
    // SAFETY: each root has the kernel's upper half, so the code that runs stays where it is.
    unsafe { Cr3::write_raw(frame, 0) };
}
