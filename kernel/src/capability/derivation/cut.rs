//! Cutting off a badge: finding, among all that was derived from a node, what carries it. What has none may have
//! such children; what has another one has not, so a server that has a million clients looks at each of them once, and
//! at nothing that they have passed on.
//!
//! ```text
//!                  root, marked
//!      ┌─────┬────────┼────────┬─────┐
//!      7     9   without one   9     7        the walk: ──►
//!     ┌┴┐    │     ┌──┼──┐     │
//!     7 7    9     9  7  9     9              beneath a 7 are 7s, beneath a 9 are 9s
//! ```
//! **The walk** goes over the tree in preorder, a few nodes a step, and leaves its place in the object: so whoever wants
//! another cut does the next step of this one. What it finds is killed, from the leaves up. A node that goes while it is
//! next gives that to the one behind it.
//!
//! **Nobody escapes.** As long as the cut goes on, nothing with the badge is derived or moved beneath the root. New
//! children come in front of their siblings, so they may come behind the walk's back; new ones need not be looked
//! at. But a node that leaves gives its children to its parent. When one of those may matter, having the badge or none,
//! the walk is *stale*: when it is at its end, it begins anew.
//!
//! **It ends.** What was missed has one above itself less than when the walk began, and nothing comes between it and
//! the root; so that happens 64 times at most. What has no badge can't be moved beneath the root, which could be repeated
//! at will. New nodes come in front of where the walk is, but for those beneath nodes to which it has yet to
//! come: these are as deep as there can be nodes.

use core::{cell::Cell, num::NonZeroU64, ptr};

use super::{Newcomer, Tree};
use crate::{
    capability::{links::Link, slot::Slot},
    object::Cut,
};

/// How many nodes one step looks at.
const STEP: usize = 64;

/// What a step of a cut's walk has found.
pub enum Look<'a> {
    /// Something that has to go, and has no children.
    Found(&'a Slot),
    /// Nothing so far.
    More,
    /// Nothing is left.
    Nothing,
}

/// As for all of the tree's methods, nodes that are given are nodes of this tree, and there.
impl Tree<'_> {
    fn cut(&self) -> Option<&Cut> {
        if self.is_cut { self.header.cut() } else { None }
    }

    /// The cut that goes on: its number, and its root, which it has marked.
    pub fn goes_on(&self) -> Option<(NonZeroU64, &Slot)> {
        let cut = self.cut()?;
        Some((cut.number.get()?, self.node(&cut.root)?))
    }

    /// Whether the cut with this number goes on.
    pub fn is_on(&self, number: NonZeroU64) -> bool {
        self.goes_on().is_some_and(|(other, _)| other == number)
    }

    /// Whether this badge is being cut off.
    pub fn cuts(&self, badge: u64) -> bool {
        self.cut().is_some_and(|cut| cut.badge.get() == badge)
    }

    fn node(&self, at: &Cell<*const ()>) -> Option<&Slot> {
        // SAFETY: the root is marked, so it is there, and what is next is in the tree, which is locked.
        unsafe { at.get().cast::<Slot>().as_ref() }
    }

    /// Begins to cut off `badge` beneath `root`: its number. Whoever calls has marked the root, and has looked that none
    /// goes on, and that there can be badges.
    pub fn begin_cut(&mut self, root: &Slot, badge: u64) -> NonZeroU64 {
        let Some(cut) = self.header.cut() else { return NonZeroU64::MIN };
        let number = cut.number.get().map_or(NonZeroU64::MIN, |last| last.saturating_add(1));
        cut.number.set(Some(number));
        cut.badge.set(badge);
        cut.root.set(ptr::from_ref(root).cast());
        cut.is_walked.set(false);
        // It begins at its end.
        cut.next.set(ptr::null());
        cut.is_stale.set(true);
        self.set_cut(true);
        number
    }

    /// Ends the cut with this number, if it goes on; whether it did.
    pub fn end_cut(&mut self, number: NonZeroU64) -> bool {
        let is_on = self.is_on(number);
        self.set_cut(self.is_cut && !is_on);
        is_on
    }

    fn set_cut(&mut self, is_cut: bool) {
        self.is_cut = is_cut;
        *self.locked = is_cut;
    }

    /// Does a step of the walk of the cut with this number.
    pub fn look(&self, number: NonZeroU64) -> Look<'_> {
        let Some(cut) = self.cut().filter(|cut| cut.number.get() == Some(number)) else {
            return Look::Nothing;
        };
        let Some(root) = self.node(&cut.root) else { return Look::Nothing };
        let go_to =
            |node: Option<&Slot>| cut.next.set(node.map_or(ptr::null(), ptr::from_ref).cast());
        for _ in 0..STEP {
            let Some(node) = self.node(&cut.next) else {
                if cut.is_walked.get() || !cut.is_stale.replace(false) {
                    cut.is_walked.set(true);
                    return Look::Nothing;
                }
                go_to(self.get(root, Link::First));
                continue;
            };
            if node.badge() == cut.badge.get() {
                // SAFETY: it is in the tree.
                return Look::Found(unsafe { self.leaf_beneath(node) }.unwrap_or(node));
            }
            let below = if node.badge() == 0 { self.get(node, Link::First) } else { None };
            go_to(below.or_else(|| self.behind(node, root)));
        }
        Look::More
    }

    /// What comes behind a node and all that is beneath it.
    fn behind(&self, node: &Slot, root: &Slot) -> Option<&Slot> {
        let mut above = Some(node);
        while let Some(node) = above.filter(|node| !ptr::eq(*node, root)) {
            if let Some(next) = self.get(node, Link::After) {
                return Some(next);
            }
            above = self.get(node, Link::Parent);
        }
        None
    }

    /// A node is about to leave its place: it is not next any more.
    #[cold]
    pub(super) fn pass_over(&self, node: &Slot) {
        let Some(cut) = self.cut() else { return };
        if let Some(root) = self.node(&cut.root)
            && ptr::eq(cut.next.get().cast(), node)
        {
            cut.next.set(self.behind(node, root).map_or(ptr::null(), ptr::from_ref).cast());
        }
    }

    /// A node gets another parent, and so another place.
    #[cold]
    pub(super) fn note_adoption(&self, node: &Slot) {
        if let Some(cut) = self.cut()
            && [0, cut.badge.get()].contains(&node.badge())
        {
            cut.is_stale.set(true);
        }
    }

    /// Whether this one can't come beneath `node`, since what is there is being revoked.
    pub(super) fn refuses(&self, node: &Slot, child: Newcomer) -> bool {
        let cut = self.cut().filter(|cut| ptr::eq(cut.root.get().cast(), node));
        let Some(cut) = cut else { return node.is_marked() };
        let is_meant = child.badge == cut.badge.get() || child.is_moved && child.badge == 0;
        is_meant || node.marks() > 1
    }
}
