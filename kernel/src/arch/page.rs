//! What is said of pages and of the tables that map them.
#![forbid(unsafe_code)]

use orbital_abi::layout::PAGE_SIZE;

use crate::memory::frame::Frame;

/// What a mapping allows. There is no such thing as writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

/// How a CPU keeps what it reads and writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cache {
    /// As memory: in its caches, written back some time.
    #[default]
    WriteBack,
    /// Reads are not kept, writes are gathered: frame buffers.
    WriteCombining,
    /// Each access goes to the device, in order.
    Uncached,
}

/// How a page is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// What a user program may do there.
    pub access: Access,
    /// How its CPU keeps it.
    pub cache: Cache,
}

/// Sizes of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB: what a leaf table maps.
    Large,
}

impl PageSize {
    /// In bytes.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Small => PAGE_SIZE,
            Self::Large => Table::Leaf.span(),
        }
    }
}

/// Page tables below the root, by their level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Table {
    /// Its entries are small pages.
    Leaf = 1,
    /// Its entries are leaf tables and large pages.
    Directory = 2,
    /// Its entries are directories.
    Pointers = 3,
}

impl Table {
    /// How much a table maps, in bytes.
    pub const fn span(self) -> u64 {
        PAGE_SIZE << (9 * self as u32)
    }
}

/// What an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The frame behind the small page that the address is in.
    pub frame: Frame,
    /// What a user program may do there.
    pub access: Access,
    /// How its CPU keeps it.
    pub cache: Cache,
    /// The size of the page that is mapped.
    pub size: PageSize,
}

/// By what a CPU remembers the translations of the tables that it loads, where it can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// The kernel's own tables, without any user translations.
    Kernel,
    /// This tag; what is remembered by it is of the same tables and still right.
    Kept(usize),
    /// This tag; what is remembered by it is forgotten.
    New(usize),
}
