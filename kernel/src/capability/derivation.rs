//! Who was derived from whom: all capabilities to one object form trees, of which each node is the
//! [slot](super::slot) of its capability. A copy, a mint, a grant is a child of what it was made from; what a maker
//! gets from the kernel is a root.
//!
//! ```text
//!              root                     parent of both: root
//!    first ┌────┴─────────┐             of root: none
//!          ▼    after     │
//!        child ─────► child             a child's place among its siblings
//!     first│  ◄─────                    means nothing, but for one that
//!          ▼   before                   arrives
//!        child
//! ```
//! The nodes of one object are spread over many tables, so their lock is the object's
//! ([`Header::lock_derivation`]), and a [`Tree`] is the proof that it is held. Lock order: a table's lock, then a
//! tree's. A node changes only under its tree's lock; it comes in and goes only under its table's too. So
//! who has a tree locked can follow its pointers into any table, and who has a table locked finds its own
//! nodes where they were. What the kernel [keeps](super::kept) has no table: the tree's lock is all that it needs.
//!
//! **Bounds.** A node has at most [`MAX_ANCESTORS`] above it, always, so the way up to the root and the way down
//! to a leaf are short. The number of children has no bound: what has to touch all of them goes in steps.
//!
//! **Leaving.** One that is closed gives its children to its parent, and then goes. One that is moved gives them to
//! the node of its new slot, its *heir*, which stands right in front of it as its sibling:
//!
//! ```text
//!        parent                      parent                     parent
//!          │           move            │          steps           │
//!         old         ─────►      new ─┴─ old     ─────►         new
//!        ┌─┼─┐                     │      ┌┴┐                   ┌─┼─┐
//!        a b c                     c      a b                   a b c
//! ```
//! As long as there are some left, the new one is *arriving*. Whoever wants all that was derived from it, to
//! revoke that or to move it again, has to pull the rest over first ([`Tree::pull`]). Nobody comes between the two: new
//! siblings go to the front. If the new one goes first, the old one's heir is its parent.
//!
//! One by which threads wait stays, without children, as long as they do: so that a revoke of what it was derived from
//! ends their waits, and no other does.
//!
//! **Marks.** Whoever revokes what was derived from a node marks it, and nothing new comes beneath a marked
//! node: [`Tree::link`] looks at all above. So what a revoke has to kill gets only less, and it ends. A node
//! that is marked stays where it is, with its memory, until nobody marks it any more.

use core::ptr::NonNull;

use orbital_abi::Error;
use spin::MutexGuard;

use super::{links::Link, slot::Slot};
use crate::object::Header;

mod cut;

pub use cut::Look;

/// The most capabilities that one can have above itself in its tree.
pub const MAX_ANCESTORS: usize = 64;

/// How many children of a node get another parent in one step.
const STEP: usize = 16;

/// The derivation tree of an object, locked.
pub struct Tree<'a> {
    locked: MutexGuard<'a, bool>,
    /// Whether a cut goes on.
    is_cut: bool,
    header: &'a Header,
}

/// What wants a place in the tree.
#[derive(Clone, Copy)]
struct Newcomer {
    badge: u64,
    /// It had one before.
    is_moved: bool,
}

/// All nodes that are given to a method are nodes of this tree, or new and of the same object, and their slots are
/// there.
impl<'a> Tree<'a> {
    /// Locks the tree of the object with this header.
    #[inline]
    pub fn of(header: &'a Header) -> Self {
        let locked = header.lock_derivation();
        Self { is_cut: *locked, locked, header }
    }

    #[inline(always)]
    fn get(&self, node: &Slot, link: Link) -> Option<&Slot> {
        // SAFETY: the tree is locked, and nothing leaves a slot without leaving the tree.
        unsafe { node.links().get(link).map(|to| to.as_ref()) }
    }

    #[inline(always)]
    fn set(&self, node: &Slot, link: Link, to: Option<&Slot>) {
        // SAFETY: the tree is locked.
        unsafe { node.links().set(link, to.map(NonNull::from)) }
    }

    /// Makes `child`, which is in no tree and will have this badge, a child of `parent`.
    ///
    /// # Errors
    /// [`Error::Revoked`] when what is beneath `parent` is being revoked, or has that badge and is; [`Error::TooDeep`] when it would have
    /// more than [`MAX_ANCESTORS`].
    ///
    /// # Safety
    /// Both are of this tree's object, and there. The child is filled before the tree is unlocked; or has the badge already,
    /// and is filled before its table is unlocked.
    #[inline]
    pub unsafe fn link(&self, child: &Slot, badge: u64, parent: &Slot) -> Result<(), Error> {
        self.check(parent, Newcomer { badge, is_moved: false })?;
        self.push(child, parent);
        Ok(())
    }

    /// Whether `parent` can have a copy of itself as a child.
    ///
    /// # Errors
    /// As [`Tree::link`].
    ///
    /// # Safety
    /// It is of this tree's object, and there.
    pub unsafe fn may_have_child(&self, parent: &Slot) -> Result<(), Error> {
        self.check(parent, Newcomer { badge: parent.badge(), is_moved: false })
    }

    /// Whether `parent` can have this child.
    #[inline]
    fn check(&self, parent: &Slot, child: Newcomer) -> Result<(), Error> {
        let (mut above, mut count) = (Some(parent), 0);
        while let Some(node) = above {
            if node.is_marked_or_leaving() {
                self.check_children_of(node, child)?;
            }
            count += 1;
            if count > MAX_ANCESTORS {
                return Err(Error::TooDeep);
            }
            above = self.get(node, Link::Parent);
        }
        Ok(())
    }

    /// Whether this one can come beneath `node`, as far as it is concerned, and the one that gets its children.
    #[cold]
    fn check_children_of(&self, node: &Slot, child: Newcomer) -> Result<(), Error> {
        let refuses = |node| self.refuses(node, child);
        match refuses(node) || self.successor(node).is_some_and(refuses) {
            true => Err(Error::Revoked),
            false => Ok(()),
        }
    }

    /// `child` is in no tree, so its links to siblings lead nowhere.
    #[inline]
    fn push(&self, child: &Slot, parent: &Slot) {
        let first = self.get(parent, Link::First);
        self.set(parent, Link::First, Some(child));
        self.set(child, Link::Parent, Some(parent));
        self.set(child, Link::After, first);
        if let Some(first) = first {
            self.set(first, Link::Before, Some(child));
        }
    }

    /// Makes `new`, which is in no tree, a sibling of `node` with the same badge: a revoke that kills that one meets it, too. Where
    /// there is nothing above, there is no place.
    ///
    /// # Errors
    /// [`Error::Revoked`] as for [`Tree::link`].
    ///
    /// # Safety
    /// Both are of this tree's object; `node` is in the tree, and there.
    pub unsafe fn link_beside(&self, new: &Slot, node: &Slot) -> Result<(), Error> {
        if let Some(parent) = self.get(node, Link::Parent) {
            self.check(parent, Newcomer { badge: node.badge(), is_moved: false })?;
            self.push(new, parent);
        }
        Ok(())
    }

    /// The same, whatever goes on above.
    ///
    /// # Safety
    /// As [`Tree::link_beside`].
    pub unsafe fn push_beside(&self, new: &Slot, node: &Slot) {
        if let Some(parent) = self.get(node, Link::Parent) {
            self.push(new, parent);
        }
    }

    /// Takes a node out from among its siblings, with all that is beneath itself.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline]
    pub unsafe fn unlink(&self, node: &Slot) {
        if self.is_cut {
            self.pass_over(node);
        }
        let (before, after) = (self.get(node, Link::Before), self.get(node, Link::After));
        let parent = self.get(node, Link::Parent);
        match (before, parent) {
            (Some(before), _) => {
                if before.is_arriving() {
                    before.end_arriving();
                }
                self.set(before, Link::After, after);
            }
            (None, Some(parent)) => self.set(parent, Link::First, after),
            (None, None) => {}
        }
        if let Some(after) = after {
            self.set(after, Link::Before, before);
        }
        // SAFETY: the tree is locked.
        unsafe { node.links().clear_place() };
    }

    /// Takes a node out that has no children and is not marked; whether it is one.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline(always)]
    pub unsafe fn leave_at_once(&self, node: &Slot) -> bool {
        let may_leave = !node.is_marked() && self.get(node, Link::First).is_none();
        if may_leave {
            // SAFETY: the caller's.
            unsafe { self.unlink(node) };
        }
        may_leave
    }

    /// Takes a node out, unless it is marked, and gives its children to its heir, some of them.
    /// Whether it is out.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline]
    pub unsafe fn leave(&self, node: &Slot) -> bool {
        // SAFETY: the caller's.
        unsafe {
            let may_leave = !node.is_marked() && self.shed(node);
            if may_leave {
                self.unlink(node);
            }
            may_leave
        }
    }

    /// Gives a node's children to its heir, some of them; whether it has none left.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline]
    pub unsafe fn shed(&self, node: &Slot) -> bool {
        self.get(node, Link::First).is_none() || {
            let heir = self.successor(node).or_else(|| self.get(node, Link::Parent));
            self.hand_over(node, heir)
        }
    }

    /// Where its capability was moved to.
    fn successor(&self, node: &Slot) -> Option<&Slot> {
        self.get(node, Link::Before).filter(|before| before.is_arriving())
    }

    /// Gives a step of the children of `from` to `to`; whether it has none left.
    fn hand_over(&self, from: &Slot, to: Option<&Slot>) -> bool {
        for _ in 0..STEP {
            let Some(child) = self.get(from, Link::First) else { return true };
            if self.is_cut {
                self.note_adoption(child);
            }
            // Where its other children are goes along, to stay right behind it.
            let old = self.old_of(child);
            for node in old.into_iter().chain([child]) {
                // SAFETY: they are in the tree.
                unsafe { self.unlink(node) };
                if let Some(to) = to {
                    self.push(node, to);
                }
            }
            if let Some(old) = old {
                self.set(child, Link::After, Some(old));
                self.set(old, Link::Before, Some(child));
                child.begin_arriving();
            }
        }
        self.get(from, Link::First).is_none()
    }

    /// Puts `new`, which is in no tree, in the place of `old`, and gives it some of its children. Whether
    /// `old` is in no tree now: it stays until the new one has them all, and nobody waits by it.
    ///
    /// # Errors
    /// [`Error::Revoked`] when what is beneath it or beneath one above is being revoked, also if that is only what has
    /// some badge and it has none.
    ///
    /// # Safety
    /// `old` is in this tree, and not arriving; `new` is of its object; both are there. The new one is filled before the
    /// tree is unlocked.
    pub unsafe fn replace(&self, old: &Slot, new: &Slot) -> Result<bool, Error> {
        debug_assert!(!old.is_arriving(), "one is moved that has not arrived");
        if old.is_marked() {
            return Err(Error::Revoked);
        }
        let (before, parent) = (self.get(old, Link::Before), self.get(old, Link::Parent));
        if let Some(parent) = parent {
            // It has one above itself less than its child would have.
            self.check(parent, Newcomer { badge: old.badge(), is_moved: true })?;
        }
        match (before, parent) {
            (Some(before), _) => self.set(before, Link::After, Some(new)),
            (None, Some(parent)) => self.set(parent, Link::First, Some(new)),
            (None, None) => {}
        }
        self.set(new, Link::Before, before);
        self.set(new, Link::After, Some(old));
        self.set(new, Link::Parent, parent);
        self.set(old, Link::Before, Some(new));
        let has_all = self.hand_over(old, Some(new));
        if !has_all {
            new.begin_arriving();
        }
        let may_leave = has_all && !old.is_waited();
        if may_leave {
            // SAFETY: the caller's.
            unsafe { self.unlink(old) };
        }
        Ok(may_leave)
    }

    /// Lets some of the children come that a node still lacks; whether there may be more.
    ///
    /// # Safety
    /// It is in this tree, and there.
    pub unsafe fn pull(&self, node: &Slot) -> bool {
        if !node.is_arriving() {
            return false;
        }
        let old = self.get(node, Link::After);
        if old.is_none_or(|old| self.hand_over(old, Some(node))) {
            node.end_arriving();
        }
        node.is_arriving()
    }

    /// A node beneath `root` that has none beneath itself, nor where it was moved from.
    ///
    /// # Safety
    /// It is in this tree, and there.
    #[inline]
    pub unsafe fn leaf_beneath(&self, root: &Slot) -> Option<&Slot> {
        // SAFETY: the caller's: its child is in this tree, too.
        Some(unsafe { self.leaf_from(self.get(root, Link::First)?) })
    }

    /// The same beneath `node`, or that itself.
    ///
    /// # Safety
    /// As [`Tree::leaf_beneath`].
    #[inline]
    pub unsafe fn leaf_from<'t>(&'t self, node: &'t Slot) -> &'t Slot {
        let mut leaf = node;
        // The old one of one that arrives goes first: without it, nobody would find the children that are still to come.
        while let Some(next) = self.get(leaf, Link::First).or_else(|| self.old_of(leaf)) {
            leaf = next;
        }
        leaf
    }

    /// What a node was derived from.
    ///
    /// # Safety
    /// As [`Tree::leaf_beneath`].
    #[inline]
    pub unsafe fn parent_of(&self, node: &Slot) -> Option<&Slot> {
        self.get(node, Link::Parent)
    }

    /// Where the children are that a node still lacks.
    #[inline]
    fn old_of(&self, node: &Slot) -> Option<&Slot> {
        self.get(node, Link::After).filter(|_| node.is_arriving())
    }
}
