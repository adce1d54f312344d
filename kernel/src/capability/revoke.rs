//! Revoking, as far as trees are concerned: all that was derived from an entry is killed, in whatever table it
//! is. What else there is to a revoke, to unmap what was mapped and to tell those who wait, is [`crate::revoke`]'s.
//!
//! ```text
//!           1           2             3
//!   begin ─────► mark ─────► kill ─────► unmark
//!                  │           │ │  ▲
//!                  │ 4         │ └──┘ in steps
//!                  └► abandoned ◄┘
//! ```
//! 1. The entry is marked: nothing is derived beneath it from here on. 2. Children that it lacks since it was moved
//! are pulled over. Then entries are killed, step by step, that have no children, so that a tree is never without its
//! root. 3. None is left. 4. Whoever revokes has died. The
//! mark stays, and stands for all revokes of the entry that were abandoned: the process's reaper begins anew
//! with it.
//!
//! **It ends.** Beneath a mark nothing is added, nor moved: children that are adopted come from beneath it
//! too. So there is less with each kill, and a step that kills nothing has met someone else who did.
//!
//! **What was made** through a capability that has to go stands in the tree beside it ([kept](super::kept)). A step that
//! meets such says so; whoever revokes sees to the rest, and finds it again until it has left the tree. Nothing
//! is made beneath a mark, so that ends, too; what is divided meanwhile has only so many pages.
//!
//! **By badge.** A [cut](super::derivation) kills what has some badge alone. The mark refuses that alone then. An object has
//! one cut at a time, which is ended by whoever comes first to its end; who wants another one helps that. So nobody waits for a
//! thread that is suspended, or less urgent.
//!
//! **Races.** A step looks for a leaf, keeps that one's table by a reference, locks the table, then the tree,
//! and looks again: what it kills it has found under both locks. A lookup that comes before that has its entry under
//! the table's lock, one that comes later finds none. Two revokes whose trees overlap kill side by side. If
//! one kills the entry that the other has marked, that leaves its place, but its slot and its mark stay until
//! the other one has seen that nothing is beneath it any more.

use core::{
    num::NonZeroU64,
    ptr::{self, NonNull},
};

use orbital_abi::{CapSlot, Error};

use super::{
    Table,
    derivation::{Look, Tree},
    kept::{Kept, Made},
    slot::Slot,
    slots::table_of,
    table::Closed,
};
use crate::object::{AnyRef, Ref, Tally};

/// How many entries one step kills.
const STEP: usize = 32;

/// What came of the wish to cut off a badge.
pub enum Begun {
    /// It goes on.
    Own(Revoking),
    /// Another cut goes on: that is to be finished first. Whoever else does that, too, is helped.
    Other(Revoking),
    /// There is nothing with that badge, and can't be.
    Nothing,
}

/// What a step of a revoke has come to.
pub enum Step {
    /// There may be more to do.
    More,
    /// This has to go. Until it has, further steps find it again.
    Made(Made),
    /// Nothing is left.
    Over,
}

impl Step {
    /// Whether there may be more to do.
    pub fn goes_on(&self) -> bool {
        !matches!(self, Self::Over)
    }

    /// What has to go.
    pub fn made(self) -> Option<Made> {
        match self {
            Self::Made(made) => Some(made),
            Self::More | Self::Over => None,
        }
    }
}

/// A revoke that goes on. If it is dropped before it has ended, it is abandoned: the process's reaper has to
/// be woken.
#[must_use = "a mark stays until the revoke has ended"]
pub struct Revoking {
    table: Ref<Table>,
    /// In the table, marked; `None` when it has ended.
    root: Option<NonNull<Slot>>,
    object: AnyRef,
    /// The number of the cut whose walk is to find what has to go; `None` where all has.
    cut: Option<NonZeroU64>,
}

impl Revoking {
    /// Begins to revoke what was derived from the entry in `slot` of `table`.
    ///
    /// # Errors
    /// Those of a lookup; [`Error::QuotaExceeded`] when 15 threads do that.
    pub fn begin(table: &Ref<Table>, slot: CapSlot) -> Result<Self, Error> {
        let entries = table.lock();
        let held = entries.lookup(slot)?;
        let (root, object) = (NonNull::from(held.slot()), held.object().clone());
        {
            let _tree = Tree::of(object.header());
            held.slot().mark()?;
        }
        Ok(Self { table: table.clone(), root: Some(root), object, cut: None })
    }

    /// Begins to revoke what was derived from the entry in `slot` of `table` and has `badge`.
    ///
    /// # Errors
    /// As [`Revoking::begin`].
    pub fn begin_cut(table: &Ref<Table>, slot: CapSlot, badge: u64) -> Result<Begun, Error> {
        let entries = table.lock();
        let held = entries.lookup(slot)?;
        // Which I/O ports a capability is to stands in the same place, and is no badge.
        if held.object().header().cut().is_none() {
            return Ok(Begun::Nothing);
        }
        if held.badge() == badge {
            // All have it that were derived from it.
            drop(entries);
            return Self::begin(table, slot).map(Begun::Own);
        }
        let object = held.object().clone();
        let mut tree = Tree::of(object.header());
        if held.badge() != 0 {
            return Ok(Begun::Nothing);
        }
        if let Some((number, root)) = tree.goes_on() {
            // SAFETY: as long as something in a table is marked, that has its process or a revoke.
            let table = Ref::from_object(unsafe { table_of(root).cast::<Table>().as_ref() });
            let (root, cut) = (Some(NonNull::from(root)), Some(number));
            drop(tree);
            return Ok(Begun::Other(Self { table, root, object, cut }));
        }
        held.slot().mark()?;
        let cut = Some(tree.begin_cut(held.slot(), badge));
        drop(tree);
        let root = Some(NonNull::from(held.slot()));
        Ok(Begun::Own(Self { table: table.clone(), root, object, cut }))
    }

    /// Goes on with one that was abandoned.
    pub fn abandoned(table: &Ref<Table>, index: u32) -> Option<Self> {
        let (root, object, cut) = table.lock().take_abandoned(index)?;
        Some(Self { table: table.clone(), root: Some(root), object, cut })
    }

    /// What the capabilities name that are revoked.
    pub fn object(&self) -> &AnyRef {
        &self.object
    }

    /// The marked entry, as long as it is.
    fn root(&self, tree: &Tree<'_>) -> Option<&Slot> {
        let root = self.root.filter(|_| self.cut.is_none_or(|cut| tree.is_on(cut)))?;
        // SAFETY: what is marked is there, and so is the root of a cut that goes on, for that has marked it.
        Some(unsafe { root.as_ref() })
    }

    /// Something that is next.
    #[inline]
    fn look<'t>(&self, tree: &'t Tree<'_>, root: &Slot) -> Look<'t> {
        match self.cut {
            // SAFETY: the root is of this tree.
            None => unsafe { tree.leaf_beneath(root) }.map_or(Look::Nothing, Look::Found),
            Some(cut) => tree.look(cut),
        }
    }

    /// Whether the parent of one that has to go has to do so itself.
    fn goes(&self, parent: &Slot, tree: &Tree<'_>, root: &Slot) -> bool {
        match self.cut {
            None => !ptr::eq(parent, root),
            Some(_) => tree.cuts(parent.badge()),
        }
    }

    /// Kills some of the entries; what to do next.
    pub fn step(&self) -> Step {
        let found = {
            let tree = Tree::of(self.object.header());
            let Some(root) = self.root(&tree) else { return Step::Over };
            // SAFETY: the root is of this tree.
            if unsafe { tree.pull(root) } {
                return Step::More;
            }
            match self.look(&tree, root) {
                Look::Nothing => return Step::Over,
                Look::More => return Step::More,
                Look::Found(leaf) if leaf.is_kept() => {
                    // SAFETY: it is in this tree.
                    return unsafe { Kept::revoke(leaf, &tree) }.map_or(Step::More, Step::Made);
                }
                // SAFETY: what is in a tree that is locked is there, and so is its table.
                Look::Found(leaf) => unsafe {
                    Ref::<Table>::try_from_object(table_of(leaf).cast())
                },
            }
        };
        // Otherwise it is going, and its entries with it.
        if let Some(table) = found {
            let killed = self.kill_in(&table);
            // This one's reference is there.
            self.object.header().capabilities_killed(killed);
        }
        Step::More
    }

    /// Kills entries that are next, as long as they are in `table`; how many have to be counted out.
    fn kill_in(&self, table: &Table) -> Tally {
        let mut entries = table.lock();
        let tree = Tree::of(self.object.header());
        let Some(root) = self.root(&tree) else { return Tally::default() };
        let (mut killed, mut parent) = (Tally::default(), None);
        for _ in 0..STEP {
            // From the last one's parent on, if that goes too: a way down from the top may be long.
            let found = match parent {
                // SAFETY: what one of this tree was derived from is in it.
                Some(parent) => Look::Found(unsafe { tree.leaf_from(parent) }),
                None => self.look(&tree, root),
            };
            let Look::Found(leaf) = found else { break };
            if leaf.is_kept() || table_of(leaf).cast() != NonNull::from(table) {
                break;
            }
            // SAFETY: it is in this tree.
            parent =
                unsafe { tree.parent_of(leaf) }.filter(|parent| self.goes(parent, &tree, root));
            // SAFETY: as above, and in the table that is locked.
            let entry = unsafe { entries.kill(leaf, &tree) };
            if let Closed::Entry(entry) | Closed::Leaving(Some(entry)) = entry {
                killed += entry.killed();
            }
        }
        killed
    }

    /// All is over.
    pub fn end(&mut self) {
        let Some(root) = self.root.take() else { return };
        let closed = match self.cut {
            // SAFETY: the mark is this one's, and not used any more.
            None => unsafe { self.table.lock().unmark(root.as_ref()) },
            Some(cut) => self.table.lock().end_cut(root, &self.object, cut),
        };
        // Perhaps its object's last capability, after unlocking. What is left is the reaper's.
        drop(closed);
    }
}

impl Drop for Revoking {
    fn drop(&mut self) {
        let Some(root) = self.root else { return };
        let mut entries = self.table.lock();
        match self.cut {
            // SAFETY: the mark is this one's, and not used any more.
            None => unsafe { entries.abandon(root.as_ref()) },
            Some(cut) => entries.abandon_cut(root, &self.object, cut),
        }
    }
}
