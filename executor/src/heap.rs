//! A leftist heap of linked entries: the least key on top, and of equal ones the one that came first.
//! Timers stand in one by their deadlines, woken tasks by their priorities.
//!
//! ```text
//!            10 (rank 2)          the rank of an entry is the length of its right spine;
//!           ╱          ╲          the left child's is never less than the right child's.
//!     20 (2)            15 (1)    So a right spine has at most log₂(n + 1) entries, and all
//!    ╱      ╲          ╱          that is ever done goes along right spines, or up as long
//!  25 (1)  30 (1)   40 (1)        as ranks change.
//! ```
//! C. A. Crane 1972; D. E. Knuth, The Art of Computer Programming 5.2.3. Two heaps are merged by
//! merging their right spines; adding merges with a heap of one, removing an entry merges its
//! children. Upwards from a removed entry each changed rank is greater than the one below it, so
//! that these are at most log₂(n + 1), too.

use core::{mem, ptr::NonNull};

/// An entry and what belongs to it. It is in a heap exactly while its rank is not 0.
pub(crate) struct Entry<T> {
    key: u64,
    /// Numbers the entries in the order in which they came.
    order: u64,
    parent: Link<T>,
    left: Link<T>,
    right: Link<T>,
    rank: u32,
    /// There while the entry is in a heap.
    value: Option<T>,
}

type Link<T> = Option<NonNull<Entry<T>>>;

/// The heap. Its entries belong to others, who take them out before they go.
pub(crate) struct Heap<T> {
    root: Link<T>,
    next_order: u64,
}

// SAFETY: entries are touched only through the heap, and what is in them can be sent.
unsafe impl<T: Send> Send for Heap<T> {}

impl<T> Entry<T> {
    /// An entry that is in no heap.
    pub const fn new() -> Self {
        Self { key: 0, order: 0, parent: None, left: None, right: None, rank: 0, value: None }
    }

    /// Whether it is in a heap.
    pub const fn is_linked(&self) -> bool {
        self.rank != 0
    }

    /// By what it was put in its place.
    pub const fn key(&self) -> u64 {
        self.key
    }

    /// What it was added with, while it is in a heap.
    pub const fn value(&mut self) -> &mut Option<T> {
        &mut self.value
    }
}

impl<T> Heap<T> {
    /// An empty heap.
    pub const fn new() -> Self {
        Self { root: None, next_order: 0 }
    }

    /// The least key.
    pub fn first_key(&self) -> Option<u64> {
        // SAFETY: entries in the heap live, and are touched through it alone.
        self.root.map(|root| unsafe { root.as_ref() }.key)
    }

    /// Adds an entry behind those with the same key.
    ///
    /// # Safety
    /// `entry` is in no heap. It stays where it is, and is touched by nobody but through the heap,
    /// until it was taken out.
    pub unsafe fn add(&mut self, mut entry: NonNull<Entry<T>>, key: u64, value: T) {
        // SAFETY: the caller's; the entries in the heap are as good.
        unsafe {
            let new = entry.as_mut();
            debug_assert!(!new.is_linked(), "an entry is added once");
            (new.key, new.order, new.rank) = (key, self.next_order, 1);
            new.value = Some(value);
            self.next_order += 1;
            self.root = merge(self.root, Some(entry));
        }
    }

    /// Takes an entry out; what it was added with.
    ///
    /// # Safety
    /// `entry` is in this heap.
    pub unsafe fn remove(&mut self, mut entry: NonNull<Entry<T>>) -> Option<T> {
        // SAFETY: the caller's; the entries in the heap are as good.
        unsafe {
            let old = entry.as_mut();
            old.rank = 0;
            let value = old.value.take();
            let (parent, left, right) = (old.parent.take(), old.left.take(), old.right.take());
            for child in [left, right].into_iter().flatten() {
                (*child.as_ptr()).parent = None;
            }
            let merged = merge(left, right);
            if let Some(merged) = merged {
                (*merged.as_ptr()).parent = parent;
            }
            match parent {
                None => self.root = merged,
                Some(parent) if (*parent.as_ptr()).left == Some(entry) => {
                    (*parent.as_ptr()).left = merged;
                }
                Some(parent) => (*parent.as_ptr()).right = merged,
            }
            let mut at = parent;
            while let Some(entry) = at
                && restore(entry)
            {
                at = (*entry.as_ptr()).parent;
            }
            value
        }
    }

    /// Takes out the first entry, if its key is not above `limit`; what it was added with.
    pub fn remove_first(&mut self, limit: u64) -> Option<T> {
        let root = self.root?;
        if self.first_key()? > limit {
            return None;
        }
        // SAFETY: the root is in the heap.
        unsafe { self.remove(root) }
    }
}

/// Merges two heaps, given by their roots.
///
/// # Safety
/// All entries beneath the roots live and are touched by nobody else; the roots have no parents.
unsafe fn merge<T>(a: Link<T>, b: Link<T>) -> Link<T> {
    let (Some(a), Some(b)) = (a, b) else { return a.or(b) };
    // SAFETY: the caller's.
    unsafe {
        let (root, mut other) = if is_before(a, b) { (a, b) } else { (b, a) };
        // Down: what is right of `at` is merged with `other`.
        let mut at = root;
        while let Some(right) = (*at.as_ptr()).right {
            steps::count();
            if is_before(other, right) {
                hang_right(at, other);
                (at, other) = (other, right);
            } else {
                at = right;
            }
        }
        hang_right(at, other);
        // Up: the ranks on that way are new.
        loop {
            restore(at);
            match (*at.as_ptr()).parent {
                Some(parent) if at != root => at = parent,
                _ => return Some(root),
            }
        }
    }
}

/// Whether `a` comes before `b`.
///
/// # Safety
/// As for [`merge`].
unsafe fn is_before<T>(a: NonNull<Entry<T>>, b: NonNull<Entry<T>>) -> bool {
    // SAFETY: the caller's.
    let (a, b) = unsafe { (a.as_ref(), b.as_ref()) };
    (a.key, a.order) < (b.key, b.order)
}

/// # Safety
/// As for [`merge`].
unsafe fn hang_right<T>(parent: NonNull<Entry<T>>, child: NonNull<Entry<T>>) {
    // SAFETY: the caller's.
    unsafe {
        (*parent.as_ptr()).right = Some(child);
        (*child.as_ptr()).parent = Some(parent);
    }
}

/// Puts the child of the greater rank to the left, and sets the rank; whether that changed.
///
/// # Safety
/// As for [`merge`].
unsafe fn restore<T>(mut entry: NonNull<Entry<T>>) -> bool {
    // SAFETY: the caller's.
    let rank = |link: Link<T>| link.map_or(0, |entry| unsafe { entry.as_ref() }.rank);
    steps::count();
    // SAFETY: the caller's; the children are other entries.
    let entry = unsafe { entry.as_mut() };
    if rank(entry.left) < rank(entry.right) {
        mem::swap(&mut entry.left, &mut entry.right);
    }
    let new = rank(entry.right) + 1;
    mem::replace(&mut entry.rank, new) != new
}

/// How much is done, for the test of what is promised above.
mod steps {
    #[cfg(all(test, not(loom)))]
    std::thread_local! {
        pub static STEPS: core::cell::Cell<u32> = const { core::cell::Cell::new(0) };
    }

    pub fn count() {
        #[cfg(all(test, not(loom)))]
        STEPS.set(STEPS.get() + 1);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
