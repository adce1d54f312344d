//! Copying and moving a capability, in one table or from one to another. Either is done as a whole under the
//! tables' locks: nobody sees half of it, and what fails has changed nothing but the number of free slots.

use core::ptr::{self, NonNull};

use orbital_abi::{CapSlot, Error, Rights};
use spin::MutexGuard;

use super::{EntryGuard, Table, derivation::Tree, table::Entries};
use crate::object::{Quota, Ref};

/// A capability was moved.
pub struct Moved {
    /// Where it is now.
    pub slot: CapSlot,
    /// Whether its old slot has yet to be tidied up, by the process's reaper.
    pub is_leaving: bool,
}

/// The most entries of one table that can be leaving when one more is moved away from many children: so that
/// they do not make a tree deep.
const MOST_LEAVING: u32 = 8;

/// The table that something comes from and the one that it goes to, locked.
enum Pair<'a> {
    One(MutexGuard<'a, Entries>),
    Two { source: MutexGuard<'a, Entries>, target: MutexGuard<'a, Entries> },
}

impl<'a> Pair<'a> {
    fn lock(source: &'a Table, target: &'a Table) -> Self {
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
/// Those of [`Entries::lookup`], of [`Capability::derive`](super::Capability::derive), of [`Entries::insert`],
/// and of [`Tree::link`].
pub fn copy(
    source: &Table,
    slot: CapSlot,
    (rights, badge): (Rights, u64),
    target: &Table,
    quota: &Ref<Quota>,
) -> Result<CapSlot, Error> {
    let mut pair = Pair::lock(source, target);
    let (from, capability) = pair.source().find(slot)?;
    let parent = NonNull::from(&from.node);
    let copy = capability.derive(rights, badge)?;
    let child = pair.target().reserve(quota)?;
    {
        let tree = Tree::of(copy.object.header());
        // SAFETY: a free slot's node, and that of an entry of this object. Both tables are locked.
        unsafe { tree.link(child, parent) }?;
    }
    // SAFETY: it was reserved.
    Ok(unsafe { pair.target().fill(child, EntryGuard::new(copy)) })
}

/// Moves the capability in `slot` of `source` into `target`, for which `quota` pays: with all that was derived
/// from it, and what it was derived from.
///
/// # Errors
/// Those of [`Entries::lookup`]; [`Error::MissingRights`] without `GRANT`, but for another slot of the same table;
/// those of [`Entries::insert`]; [`Error::Revoked`] when it is being revoked, or what was derived from it;
/// [`Error::TooDeep`] when several with many children have just been moved or closed.
pub fn relocate(
    source: &Table,
    slot: CapSlot,
    target: &Table,
    quota: &Ref<Quota>,
) -> Result<Moved, Error> {
    let mut pair = Pair::lock(source, target);
    let (from, capability) = pair.source().find(slot)?;
    let old = NonNull::from(&from.node);
    if !ptr::eq(source, target) && !capability.rights.contains(Rights::GRANT) {
        return Err(Error::MissingRights);
    }
    let capability = capability.clone();
    let new = pair.target().reserve(quota)?;
    let may_stay = pair.source().unfinished() < MOST_LEAVING;
    let has_left = {
        let tree = Tree::of(capability.object.header());
        // SAFETY: as in `copy`.
        unsafe { tree.replace(old, new, may_stay) }?
    };
    // SAFETY: the old one is in its table, and in no tree any more if it has left.
    let entry = unsafe {
        if has_left {
            pair.source().free(old)
        } else {
            pair.source().leave_later(old);
            None
        }
    };
    let entry = entry.unwrap_or_else(|| EntryGuard::new(capability));
    // SAFETY: it was reserved.
    let slot = unsafe { pair.target().fill(new, entry) };
    Ok(Moved { slot, is_leaving: !has_left })
}
