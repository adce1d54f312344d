//! Who was derived from whom: all capabilities to one object form trees, of which each node stands in the
//! slot of its capability. A copy, a mint, a grant is a child of what it was made from; what a maker gets
//! from the kernel is a root.
//!
//! ```text
//!              root                     parent of both: root
//!    first ┌────┴─────────┐             of root: none
//!          ▼    after     │
//!        child ─────► child             a child's place among its siblings
//!     first│  ◄─────                    means nothing
//!          ▼   before
//!        child
//! ```
//! The nodes of one object are spread over many tables, so their lock is the object's
//! ([`Header::lock_derivation`]), and a [`Tree`] is the proof that it is held. Lock order: a table's lock, then a
//! tree's. A node changes only under its tree's lock; it comes in and goes only under its table's too. So
//! who has a tree locked can follow its pointers into any table, and who has a table locked finds its own
//! nodes where they were.
//!
//! **Bounds.** A node has at most [`MAX_ANCESTORS`] above it, so the way up to the root and the way down
//! to a leaf are short. The number of children has no bound: what has to touch all of them goes in steps
//! ([`Tree::leave`]).
//!
//! **Marks.** Whoever revokes what was derived from a node marks it, and nothing new comes beneath a marked
//! node: [`Tree::link`] looks at all above. So what a revoke has to kill gets only less, and it ends. A node
//! that is marked stays where it is, with its memory, until nobody marks it any more.

use core::{cell::Cell, ptr::NonNull};

use orbital_abi::Error;
use spin::MutexGuard;

use crate::object::Header;

/// The most capabilities that one can have above itself in its tree.
pub const MAX_ANCESTORS: usize = 64;

/// How many children of a node get another parent in one step.
const STEP: usize = 32;

type Link = Cell<Option<NonNull<Node>>>;

/// A capability's place in its tree.
#[repr(C)]
pub struct Node {
    parent: Link,
    /// Any of its children, the youngest but for those that were adopted.
    first: Link,
    before: Link,
    after: Link,
    /// The slot's number, which fits in here: see [`Slot`](super::slots::Slot). Under the table's lock.
    pub(super) generation: Cell<u32>,
    /// How many revokes of what is beneath it go on.
    marks: Cell<u16>,
    /// Where in its leaf the slot is.
    pub(super) place: u8,
    /// What is to be done with the slot. Under the table's lock.
    pub(super) state: Cell<u8>,
}

// SAFETY: links and marks are touched only under the tree's lock, all else only under the table's.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// A node in no tree, at the place `place` of its leaf.
    pub(super) const fn new(place: u8) -> Self {
        Self {
            parent: Cell::new(None),
            first: Cell::new(None),
            before: Cell::new(None),
            after: Cell::new(None),
            generation: Cell::new(1),
            marks: Cell::new(0),
            place,
            state: Cell::new(0),
        }
    }
}

/// The derivation tree of an object, locked.
pub struct Tree<'a> {
    _locked: MutexGuard<'a, ()>,
}

#[inline]
fn get<'a>(node: NonNull<Node>) -> &'a Node {
    // SAFETY: a node that is named by a caller of the methods below, or by a node of its tree, is there as long as
    // the tree is locked: that is what they ask for, and nothing leaves a slot without leaving the tree.
    unsafe { node.as_ref() }
}

/// All nodes that are given to a method are nodes of this tree, or new, and their slots are there.
impl<'a> Tree<'a> {
    /// Locks the tree of the object with this header.
    #[inline]
    pub fn of(header: &'a Header) -> Self {
        Self { _locked: header.lock_derivation() }
    }

    /// Makes `child`, which is in no tree, a child of `parent`.
    ///
    /// # Errors
    /// [`Error::Revoked`] when what is beneath `parent` is being revoked; [`Error::TooDeep`] when it would have
    /// more than [`MAX_ANCESTORS`].
    ///
    /// # Safety
    /// Both are of this tree's object, and there.
    pub unsafe fn link(&self, child: NonNull<Node>, parent: NonNull<Node>) -> Result<(), Error> {
        self.check(parent)?;
        self.push(child, parent);
        Ok(())
    }

    /// Whether `parent` can have a child.
    #[inline]
    fn check(&self, parent: NonNull<Node>) -> Result<(), Error> {
        let (mut above, mut count) = (Some(parent), 0);
        while let Some(node) = above {
            if get(node).marks.get() > 0 {
                return Err(Error::Revoked);
            }
            count += 1;
            if count > MAX_ANCESTORS {
                return Err(Error::TooDeep);
            }
            above = get(node).parent.get();
        }
        Ok(())
    }

    #[inline]
    fn push(&self, child: NonNull<Node>, parent: NonNull<Node>) {
        let first = get(parent).first.replace(Some(child));
        get(child).parent.set(Some(parent));
        get(child).before.set(None);
        get(child).after.set(first);
        if let Some(first) = first {
            get(first).before.set(Some(child));
        }
    }

    /// Takes a node out from beneath its parent, with all that is beneath itself.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline]
    pub unsafe fn unlink(&self, node: NonNull<Node>) {
        let own = get(node);
        let Some(parent) = own.parent.take() else { return };
        let (before, after) = (own.before.take(), own.after.take());
        match before {
            Some(before) => get(before).after.set(after),
            None => get(parent).first.set(after),
        }
        if let Some(after) = after {
            get(after).before.set(before);
        }
    }

    /// Takes a node out, unless it is marked, and gives its children to its parent, some of them.
    /// Whether it is out.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline]
    pub unsafe fn leave(&self, node: NonNull<Node>) -> bool {
        let own = get(node);
        let may_leave = own.marks.get() == 0
            && (own.first.get().is_none() || self.hand_over(node, own.parent.get(), STEP));
        if may_leave {
            // SAFETY: the caller's.
            unsafe { self.unlink(node) };
        }
        may_leave
    }

    fn hand_over(&self, from: NonNull<Node>, to: Option<NonNull<Node>>, count: usize) -> bool {
        for _ in 0..count {
            let Some(child) = get(from).first.get() else { return true };
            // SAFETY: a child is in the tree.
            unsafe { self.unlink(child) };
            if let Some(to) = to {
                self.push(child, to);
            }
        }
        get(from).first.get().is_none()
    }

    /// Puts `new`, which is in no tree, in the place of `old`, and gives it some of its children. Whether
    /// `old` has none left, and is in no tree now. Else it is the new one's child, with the rest of them.
    ///
    /// # Errors
    /// [`Error::Revoked`] when what is beneath it or beneath one above is being revoked; [`Error::TooDeep`]
    /// when it would become a child and not `may_stay`.
    ///
    /// # Safety
    /// `old` is in this tree, `new` is of its object, and both are there.
    pub unsafe fn replace(
        &self,
        old: NonNull<Node>,
        new: NonNull<Node>,
        may_stay: bool,
    ) -> Result<bool, Error> {
        let parent = get(old).parent.get();
        if get(old).marks.get() > 0 {
            return Err(Error::Revoked);
        }
        if let Some(parent) = parent {
            self.check(parent)?;
        }
        if !may_stay && self.has_more(old, STEP) {
            return Err(Error::TooDeep);
        }
        if let Some(parent) = parent {
            // SAFETY: the caller's.
            unsafe { self.unlink(old) };
            self.push(new, parent);
        }
        let is_done = self.hand_over(old, Some(new), STEP);
        if !is_done {
            self.push(old, new);
        }
        Ok(is_done)
    }

    fn has_more(&self, node: NonNull<Node>, count: usize) -> bool {
        let mut next = get(node).first.get();
        for _ in 0..count {
            let Some(child) = next else { return false };
            next = get(child).after.get();
        }
        next.is_some()
    }

    /// A node beneath `root` that has none beneath itself.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline]
    pub unsafe fn leaf_beneath(&self, root: NonNull<Node>) -> Option<NonNull<Node>> {
        let mut leaf = get(root).first.get()?;
        while let Some(below) = get(leaf).first.get() {
            leaf = below;
        }
        Some(leaf)
    }

    /// Whether a node is marked.
    ///
    /// # Safety
    /// It is in this tree, and there.
    pub unsafe fn is_marked(&self, node: NonNull<Node>) -> bool {
        get(node).marks.get() > 0
    }

    /// Marks a node once more.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] when 65,535 revokes of it go on.
    ///
    /// # Safety
    /// It is in this tree, and there.
    pub unsafe fn mark(&self, node: NonNull<Node>) -> Result<(), Error> {
        let marks = get(node).marks.get().checked_add(1).ok_or(Error::QuotaExceeded)?;
        get(node).marks.set(marks);
        Ok(())
    }

    /// Takes one mark away.
    ///
    /// # Safety
    /// The mark is the caller's.
    pub unsafe fn unmark(&self, node: NonNull<Node>) {
        let marks = get(node).marks.get();
        debug_assert!(marks > 0, "a mark is taken away that nobody has made");
        get(node).marks.set(marks.saturating_sub(1));
    }
}
