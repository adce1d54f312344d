//! What is known of one page of an object, and frames full of that.

use crate::{
    arch::direct_map,
    memory::{self, frame::Frame},
};

/// How many entries a node has.
pub const ENTRIES: usize = 512;

/// What an object has in the place of a page: nothing yet, or a frame.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry(u64);

const FLAG_BITS: u32 = 1;
/// Other objects have the frame too: who writes copies it.
const SHARED: u64 = 1 << 0;

impl Entry {
    /// Nobody has touched the page.
    pub const ABSENT: Self = Self(0);

    /// A page in `frame`, which is not frame 0.
    pub fn present(frame: Frame) -> Self {
        debug_assert!(frame.number() != 0, "frame 0 is firmware's");
        Self(frame.number() << FLAG_BITS)
    }

    /// A page that others have too.
    pub fn shared(frame: Frame) -> Self {
        Self(Self::present(frame).0 | SHARED)
    }

    /// Its frame, if the page was touched.
    pub fn page(self) -> Option<Frame> {
        (self.0 != 0).then_some(Frame::new(self.0 >> FLAG_BITS))
    }

    /// Whether others have its frame too.
    pub fn is_shared(self) -> bool {
        self.0 & SHARED != 0
    }

    /// Gives its frame back, unless another object has it too.
    pub fn free(self) {
        if let Some(frame) = self.page()
            && (!self.is_shared() || memory::unshare(frame))
        {
            memory::free_frame(frame);
        }
    }
}

/// A frame full of entries.
pub struct Node(Frame);

impl Node {
    /// A node of absent pages; `None` without memory.
    pub fn new() -> Option<Self> {
        let frame = memory::allocate_frame()?;
        direct_map::zero(frame);
        Some(Self(frame))
    }

    fn entry(&self, index: usize) -> *mut Entry {
        assert!(index < ENTRIES, "a node has no entry {index}");
        // SAFETY: a frame is as long as its entries, and this one is the node's.
        unsafe { direct_map::pointer(self.0).cast::<Entry>().add(index) }
    }

    /// Entry `index`.
    pub fn get(&self, index: usize) -> Entry {
        // SAFETY: the frame is the node's, and was zeroed: absent entries.
        unsafe { self.entry(index).read() }
    }

    /// Changes entry `index`.
    pub fn set(&mut self, index: usize, entry: Entry) {
        // SAFETY: as above, and `self` is borrowed for writing.
        unsafe { self.entry(index).write(entry) }
    }
}

impl Drop for Node {
    /// Gives back its own frame, not those of its entries.
    fn drop(&mut self) {
        memory::free_frame(self.0);
    }
}
