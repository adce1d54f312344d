//! Who maps a memory object: each of its mappings stands in a list of the object's, so that all can be
//! found whose pages have to go ([`withdraw`](super::withdraw())).
//!
//! A walk over the list takes turns with everything else that happens to it. It gives the mappings that
//! it has visited its number and puts them behind the others, as do those who add one meanwhile; so it is
//! over when the first has the number.

use core::cell::Cell;

use intrusive_collections::{LinkedList, LinkedListLink, UnsafeRef, intrusive_adapter};

use crate::object::{AnyRef, Uncounted};

/// A mapping, as its object knows it. A part of a region.
pub struct Mapped {
    link: LinkedListLink,
    /// The address space, which is there as long as it has the region.
    space: Uncounted,
    /// The region's first address there.
    pub start: u64,
    /// The last walk that has visited it.
    walk: Cell<u64>,
}

// SAFETY: the link and the number of the walk are touched only by the list's methods, and so under the lock
// that the list is under; all else does not change.
unsafe impl Sync for Mapped {}

intrusive_adapter!(Adapter = UnsafeRef<Mapped>: Mapped { link => LinkedListLink });

impl Mapped {
    /// A mapping in `space` from `start` on, in no list.
    pub fn new(space: Uncounted, start: u64) -> Self {
        Self { link: LinkedListLink::new(), space, start, walk: Cell::new(0) }
    }
}

/// The mappings of an object.
pub struct Mappings {
    list: LinkedList<Adapter>,
    count: usize,
    /// The number of the walk that goes on, or of the last.
    walk: u64,
}

impl Mappings {
    /// No mappings.
    pub fn new() -> Self {
        Self { list: LinkedList::new(Adapter::new()), count: 0, walk: 0 }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Adds a mapping, which a walk that goes on need not visit.
    ///
    /// # Safety
    /// It is in no list, stays where it is, and is removed before it goes.
    #[inline(always)]
    pub unsafe fn add(&mut self, mapped: &Mapped) {
        mapped.walk.set(self.walk);
        // SAFETY: the caller's.
        self.list.push_back(unsafe { UnsafeRef::from_raw(mapped) });
        self.count += 1;
    }

    /// Adds the upper part of a mapping that was divided: a walk visits it if it has yet to visit the lower
    /// one.
    ///
    /// # Safety
    /// As [`Mappings::add`]; `lower` is in this list.
    pub unsafe fn add_beside(&mut self, upper: &Mapped, lower: &Mapped) {
        upper.walk.set(lower.walk.get());
        // SAFETY: the caller's.
        let (mut lower, upper) =
            unsafe { (self.list.cursor_mut_from_ptr(lower), UnsafeRef::from_raw(upper)) };
        lower.insert_after(upper);
        self.count += 1;
    }

    /// Removes a mapping.
    ///
    /// # Safety
    /// It is in this list.
    pub unsafe fn remove(&mut self, mapped: &Mapped) {
        // SAFETY: the caller's.
        unsafe { self.list.cursor_mut_from_ptr(mapped) }.remove();
        self.count -= 1;
    }

    /// Begins a walk over all mappings.
    pub fn begin_walk(&mut self) {
        self.walk += 1;
    }

    /// The next mapping of the walk: its space and its first address there.
    pub fn next_of_walk(&mut self) -> Option<(AnyRef, u64)> {
        let is_new = self.list.front().get().is_some_and(|first| first.walk.get() != self.walk);
        if !is_new {
            return None;
        }
        let first = self.list.pop_front()?;
        first.walk.set(self.walk);
        // SAFETY: whoever takes a region out of its space has a reference to that, and keeps it until the region has
        // left this list, for which it needs the lock that this walk is under.
        let found = (unsafe { first.space.counted() }, first.start);
        self.list.push_back(first);
        Some(found)
    }
}

impl Default for Mappings {
    fn default() -> Self {
        Self::new()
    }
}
