//! Pointers from one node of a tree to four others, in 24 bytes: six of an address say what its other two are.

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ptr::{NonNull, with_exposed_provenance_mut},
};

const LINKS: usize = 4;
const LINK_BYTES: usize = 6;

/// Where a node's links lead.
pub struct Links<T>(UnsafeCell<[u8; LINKS * LINK_BYTES]>, PhantomData<*const T>);

/// A number anywhere.
#[derive(Clone, Copy)]
#[repr(C, packed)]
struct Unaligned<T>(T);

/// Where a link leads.
#[derive(Clone, Copy)]
pub enum Link {
    /// To the sibling before it.
    Before = 0,
    /// To the sibling behind it.
    After = 1,
    /// To what it was derived from.
    Parent = 2,
    /// To any of its children, the youngest but for those that were adopted.
    First = 3,
}

impl<T> Links<T> {
    /// They lead nowhere.
    pub const fn none() -> Self {
        Self(UnsafeCell::new([0; _]), PhantomData)
    }

    /// Where a link leads.
    ///
    /// # Safety
    /// Nobody changes them meanwhile: the tree is locked.
    #[inline(always)]
    pub unsafe fn get(&self, link: Link) -> Option<NonNull<T>> {
        let at = link as usize * LINK_BYTES;
        // The first link's two bytes too many are the next one's, all others' the one before's.
        let before = size_of::<u64>() - LINK_BYTES;
        let (start, shift) = if at == 0 { (0, 16) } else { (at - before, 0) };
        // SAFETY: the caller's; eight bytes of the 24.
        let Unaligned(bytes) = unsafe { *self.0.get().byte_add(start).cast::<Unaligned<i64>>() };
        let address = bytes << shift >> 16;
        NonNull::new(with_exposed_provenance_mut(address as usize))
    }

    /// Lets a link lead elsewhere.
    ///
    /// # Safety
    /// Nobody else touches them meanwhile.
    #[inline(always)]
    pub unsafe fn set(&self, link: Link, to: Option<NonNull<T>>) {
        let address = to.map_or(0, |to| to.as_ptr().expose_provenance());
        // SAFETY: the caller's; six bytes of the 24.
        unsafe {
            let at = self.0.get().byte_add(link as usize * LINK_BYTES);
            *at.cast() = Unaligned(address as u32);
            *at.byte_add(size_of::<u32>()).cast() = Unaligned((address >> u32::BITS) as u16);
        }
    }

    /// Lets the links to siblings and to the parent lead nowhere.
    ///
    /// # Safety
    /// As [`Links::set`].
    #[inline(always)]
    pub unsafe fn clear_place(&self) {
        // SAFETY: the caller's; all but the last six bytes.
        unsafe { *self.0.get().cast() = [0_u8; Link::First as usize * LINK_BYTES] };
    }
}
