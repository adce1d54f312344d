//! The kernel's own address space, made once at boot: the direct map, the image with each part's
//! own rights, and the window's top-level table.

use x86_64::{
    PhysAddr,
    registers::control::Cr3,
    structures::paging::{PageTable, PageTableFlags as Flags, PhysFrame},
};

use super::{
    direct_map, features,
    layout::{DIRECT_MAP, DIRECT_MAP_END, KERNEL_BASE, WINDOW},
};
use crate::memory::frame::Frame;

static ROOT: spin::Once<Frame> = spin::Once::new();

unsafe extern "C" {
    safe static kernel_image_start: u8;
    safe static kernel_text_end: u8;
    safe static kernel_rodata_end: u8;
    safe static kernel_stack_guard: u8;
    safe static kernel_boot_tables_start: u8;
    safe static kernel_boot_tables_end: u8;
    safe static kernel_image_end: u8;
}

const SMALL: u64 = 1 << 12;
const LARGE: u64 = 1 << 21;
const HUGE: u64 = 1 << 30;

/// The top-level table.
///
/// # Panics
/// Before [`init`].
pub fn root() -> Frame {
    *ROOT.get().expect("the kernel's address space is made before any other")
}

/// The physical range of the kernel image, `.bss` included.
pub fn image() -> core::ops::Range<u64> {
    physical(&raw const kernel_image_start)..physical(&raw const kernel_image_end)
}

/// The physical range of the boot tables. It is not mapped as a part of the image, so it can be
/// used for something else once no CPU starts on them.
pub fn boot_tables() -> core::ops::Range<u64> {
    physical(&raw const kernel_boot_tables_start)..physical(&raw const kernel_boot_tables_end)
}

fn physical(symbol: *const u8) -> u64 {
    symbol as u64 - KERNEL_BASE
}

/// Writes tables while only the boot tables are loaded: their frames lie below 4 GiB, which those
/// map.
struct Builder<A> {
    root: Frame,
    allocate: A,
}

impl<A: FnMut() -> Frame> Builder<A> {
    fn table(&mut self, frame: Frame) -> &mut PageTable {
        // SAFETY: a frame that `allocate` gave, zeroed, and known only to this builder.
        unsafe { &mut *direct_map::pointer(frame).cast() }
    }

    /// The table below entry `index` of `parent`.
    fn below(&mut self, parent: Frame, index: usize) -> Frame {
        let entry = &self.table(parent)[index];
        if !entry.is_unused() {
            return Frame::containing(entry.addr().as_u64());
        }
        let new = (self.allocate)();
        direct_map::zero(new);
        let all = Flags::PRESENT | Flags::WRITABLE;
        self.table(parent)[index].set_addr(PhysAddr::new(new.address()), all);
        new
    }

    /// Maps one page of `size` bytes.
    fn map(&mut self, address: u64, physical: u64, size: u64, flags: Flags) {
        let index = |shift: u32| (address >> shift & 0x1ff) as usize;
        let mut table = self.below(self.root, index(39));
        let mut shift = 30;
        while 1 << shift != size {
            table = self.below(table, index(shift));
            shift -= 9;
        }
        let size_flag = if size == SMALL { Flags::empty() } else { Flags::HUGE_PAGE };
        let flags = flags | size_flag | Flags::PRESENT | Flags::GLOBAL;
        self.table(table)[index(shift)].set_addr(PhysAddr::new(physical), flags);
    }
}

/// Makes the tables out of zeroed-on-use frames that `allocate` gives (below 4 GiB), maps RAM up to
/// physical address `end`, and loads them.
pub fn init(end: u64, mut allocate: impl FnMut() -> Frame) {
    let root = allocate();
    direct_map::zero(root);
    let mut builder = Builder { root, allocate };
    map_image(&mut builder);
    map_ram(&mut builder, end);
    // The window's top-level entry, which every address space copies.
    builder.below(root, (WINDOW >> 39 & 0x1ff) as usize);
    ROOT.call_once(|| root);
    load();
}

/// Loads the tables on this CPU.
pub fn load() {
    let frame = PhysFrame::containing_address(PhysAddr::new(root().address()));
    // SAFETY: the tables map the running code, the stack and all RAM where the boot tables have them,
    // and where every other address space has them.
    unsafe { Cr3::write_raw(frame, 0) };
}

fn map_image(builder: &mut Builder<impl FnMut() -> Frame>) {
    let end = &raw const kernel_image_end as u64;
    for page in (&raw const kernel_image_start as u64..end).step_by(SMALL as usize) {
        let is_guard = page == &raw const kernel_stack_guard as u64;
        if !is_guard && !boot_tables().contains(&(page - KERNEL_BASE)) {
            builder.map(page, page - KERNEL_BASE, SMALL, image_flags(page));
        }
    }
}

fn image_flags(page: u64) -> Flags {
    if page < &raw const kernel_text_end as u64 {
        Flags::empty()
    } else if page < &raw const kernel_rodata_end as u64 {
        Flags::NO_EXECUTE
    } else {
        Flags::NO_EXECUTE | Flags::WRITABLE
    }
}

/// The direct map: the largest pages that fit, but small ones over the image, whose text and
/// constants can't be written through it either.
fn map_ram(builder: &mut Builder<impl FnMut() -> Frame>, end: u64) {
    let image = image();
    let end = end.min(DIRECT_MAP_END - DIRECT_MAP);
    let mut at = 0;
    while at < end {
        let free = |size: u64| {
            at % size == 0 && at + size <= end && (at + size <= image.start || at >= image.end)
        };
        let size = if features::features().huge_pages && free(HUGE) {
            HUGE
        } else if free(LARGE) {
            LARGE
        } else {
            SMALL
        };
        let flags = if image.contains(&at) {
            image_flags(at + KERNEL_BASE) | Flags::NO_EXECUTE
        } else {
            Flags::NO_EXECUTE | Flags::WRITABLE
        };
        builder.map(DIRECT_MAP + at, at, size, flags);
        at += size;
    }
}
