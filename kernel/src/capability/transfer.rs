//! Copying and moving a capability, in one table or from one to another. Either is done as a whole under the
//! tables' locks: nobody sees half of it, and what fails has changed nothing but the number of free slots.

use core::ptr::{self, NonNull};

use orbital_abi::{CapSlot, Error, Rights};

use super::{
    Capability, Held, Table,
    derivation::Tree,
    slots::index_of,
    table::{Closed, Entries},
};
use crate::lock::MutexGuard;
use crate::object::{Quota, Ref};

/// A capability was moved.
pub struct Moved {
    /// Where it is now.
    pub slot: CapSlot,
    /// What was in its old slot.
    pub left: Closed,
}

/// The table that something comes from and the one that it goes to, locked.
pub(super) enum Pair<'a> {
    One(MutexGuard<'a, Entries>),
    Two { source: MutexGuard<'a, Entries>, target: MutexGuard<'a, Entries> },
}

impl<'a> Pair<'a> {
    #[inline(always)]
    pub(super) fn lock(source: &'a Table, target: &'a Table) -> Self {
        if ptr::eq(source, target) {
            return Self::One(source.lock());
        }
        // Two tables are locked in the order of their addresses.
        if ptr::from_ref(source) < ptr::from_ref(target) {
            let source = source.lock();
            Self::Two { source, target: target.lock() }
        } else {
            let target = target.lock();
            Self::Two { source: source.lock(), target }
        }
    }

    /// Both, to look at and to fill what was set aside.
    #[inline(always)]
    pub(super) fn both(&self) -> (&Entries, &Entries) {
        match self {
            Self::One(both) => (both, both),
            Self::Two { source, target } => (source, target),
        }
    }

    fn source(&mut self) -> &mut Entries {
        match self {
            Self::One(both) => both,
            Self::Two { source, .. } => source,
        }
    }

    fn target(&mut self) -> &mut Entries {
        match self {
            Self::One(both) => both,
            Self::Two { target, .. } => target,
        }
    }
}

/// Derives a capability with at most `rights`, and with `badge` where that is not 0, from the one in `slot` of
/// `source`, and puts it into `target`, for which `quota` pays.
///
/// # Errors
/// Those of [`Entries::lookup`], of [`Capability::derive`], of [`Entries::insert`],
/// and of [`Tree::link`].
pub fn copy(
    source: &Table,
    slot: CapSlot,
    (rights, badge): (Rights, u64),
    target: &Table,
    quota: &Ref<Quota>,
) -> Result<CapSlot, Error> {
    derive(source, slot, |held| held.derive(rights, badge), target, quota)
}

/// Puts what `derived` makes of the capability in `slot` of `source`, no more than that is, beneath it and into `target`,
/// for which `quota` pays.
///
/// # Errors
/// Those of [`Entries::lookup`], of `derived`, of [`Entries::insert`], and of [`Tree::link`].
#[inline(always)]
pub fn derive(
    source: &Table,
    slot: CapSlot,
    derived: impl FnOnce(Held<'_>) -> Result<Capability, Error>,
    target: &Table,
    quota: &Ref<Quota>,
) -> Result<CapSlot, Error> {
    let mut pair = Pair::lock(source, target);
    let held = pair.source().lookup(slot)?;
    let (parent, copy) = (NonNull::from(held.slot()), derived(held)?);
    let (child, index) = pair.target().reserve(quota)?;
    let header = NonNull::from(copy.object.header());
    // SAFETY: slots of tables that are locked: one of an entry to this object, which keeps it, and a free one, which was
    // just reserved.
    unsafe {
        let (parent, child) = (parent.as_ref(), child.as_ref());
        let tree = Tree::of(header.as_ref());
        tree.link(child, copy.badge, parent)?;
        Ok(pair.target().fill(child, index, copy))
    }
}

/// Moves the capability in `slot` of `source` into `target`, for which `quota` pays: with all that was derived
/// from it, and what it was derived from. `None` when it lacked some of that, since it was moved before, and a step was done of
/// that instead.
///
/// # Errors
/// Those of [`Entries::lookup`]; [`Error::MissingRights`] without `GRANT`, but for another slot of the same table;
/// those of [`Entries::insert`]; [`Error::Revoked`] when it is being revoked, or what was derived from it.
pub fn relocate(
    source: &Table,
    slot: CapSlot,
    target: &Table,
    quota: &Ref<Quota>,
) -> Result<Option<Moved>, Error> {
    let mut pair = Pair::lock(source, target);
    let held = pair.source().lookup(slot)?;
    if !ptr::eq(source, target) && !held.rights().contains(Rights::GRANT) {
        return Err(Error::MissingRights);
    }
    let (old, is_root) = (NonNull::from(held.slot()), held.is_root());
    let capability = held.to_capability();
    let (new, index) = pair.target().reserve(quota)?;
    // SAFETY: as in `copy`.
    let (old, new) = unsafe { (old.as_ref(), new.as_ref()) };
    let header = NonNull::from(capability.object.header());
    let (slot, has_left) = {
        // SAFETY: as in `copy`.
        unsafe {
            let tree = Tree::of(header.as_ref());
            if tree.pull(old) {
                return Ok(None);
            }
            let has_left = tree.replace(old, new)?;
            let slot = pair.target().fill(new, index, capability);
            if is_root {
                new.set_root();
            }
            (slot, has_left)
        }
    };
    // SAFETY: the old one is in its table, and in no tree any more if it has left.
    unsafe {
        let left = match has_left {
            true => pair.source().empty(old, index_of(old)),
            false => Closed::Leaving(pair.source().leave_later(old)),
        };
        Ok(Some(Moved { slot, left }))
    }
}
