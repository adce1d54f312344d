//! Capabilities that a message brings: each is derived from its sender's, with the same rights and badge, and fills a
//! slot that was [set aside](super::table::reserved) for the receiver. All come, or none: what can fail, their
//! places in the derivation trees, comes first, and is taken back.
//!
//! Both tables are locked from beginning to end. So nobody finds one of the new slots through its table before
//! all are filled; who finds one in a tree needs its table's lock to do anything with it.

use core::ptr::{self, NonNull};

use arrayvec::ArrayVec;
use orbital_abi::{CapSlot, Error, Rights, message::MAX_CAPABILITIES};

use super::{
    Held, Table,
    derivation::Tree,
    slot::Slot,
    slots::index_of,
    table::{Entries, reserved::Reserved},
    transfer::Pair,
};
use crate::lock::MutexGuard;

/// The slots of a message's capabilities.
pub type Slots = ArrayVec<CapSlot, MAX_CAPABILITIES>;

/// What `slot` holds, if that may be passed on.
#[inline(always)]
fn held(source: &Entries, slot: CapSlot) -> Result<Held<'_>, Error> {
    let held = source.lookup(slot)?;
    if held.rights().contains(Rights::GRANT) { Ok(held) } else { Err(Error::MissingRights) }
}

/// Whether the capabilities in `slots` of `source` can be passed on, as they are now.
///
/// # Errors
/// Those of a lookup; [`Error::MissingRights`] without `GRANT`; [`Error::Revoked`] and [`Error::TooDeep`] as for a
/// copy.
pub fn check(source: &Table, slots: &[CapSlot]) -> Result<(), Error> {
    let source = source.lock();
    for slot in slots {
        let held = held(&source, *slot)?;
        // SAFETY: an entry to this object, whose table is locked.
        unsafe { Tree::of(held.object().header()).may_have_child(held.slot()) }?;
    }
    Ok(())
}

/// The tables of a sender and of a receiver, locked.
pub struct Tables<'a>(Pair<'a>);

impl<'a> Tables<'a> {
    /// Locks both.
    pub fn lock(source: &'a Table, target: &'a Table) -> Self {
        Self(Pair::lock(source, target))
    }

    /// For passing from one to the other.
    pub fn passing(&self) -> Passing<'_> {
        let (source, target) = self.0.both();
        Passing { source, target: Target::Borrowed(target) }
    }
}

/// Capabilities on their way from one table to another.
pub struct Passing<'a> {
    source: &'a Entries,
    target: Target<'a>,
}

/// The receiver's table.
enum Target<'a> {
    Borrowed(&'a Entries),
    Locked(MutexGuard<'a, Entries>),
}

/// Places in the trees that have been found, of capabilities that are in no slot yet.
pub struct Linked(ArrayVec<Place, MAX_CAPABILITIES>);

/// One of them.
struct Place {
    /// The slot, which has the badge already: whoever revokes by that looks for it without the table.
    child: NonNull<Slot>,
    /// That of what it is derived from.
    parent: NonNull<Slot>,
    /// The next slot that is set aside.
    next: Option<u32>,
}

impl<'a> Passing<'a> {
    /// From `source`, whose entries are locked already, to `target`, if that is free now: so it may be asked for under
    /// any lock.
    #[inline(always)]
    pub fn at_once(source: &'a Table, entries: &'a Entries, target: &'a Table) -> Option<Self> {
        let target = match ptr::eq(source, target) {
            true => Target::Borrowed(entries),
            false => Target::Locked(target.try_lock()?),
        };
        Some(Self { source: entries, target })
    }

    /// The sender's table.
    pub fn source(&self) -> &'a Entries {
        self.source
    }

    #[inline(always)]
    fn target(&self) -> &Entries {
        match &self.target {
            Target::Borrowed(entries) => entries,
            Target::Locked(entries) => entries,
        }
    }

    /// Finds a place for a child of each of the capabilities in `slots`, as many as `reserved` has at most.
    ///
    /// # Errors
    /// As [`check`]; [`Error::NoRoom`] where there are too many.
    #[inline(always)]
    pub fn link(&self, slots: &[CapSlot], reserved: &Reserved) -> Result<Linked, Error> {
        if slots.len() > reserved.count.into() {
            return Err(Error::NoRoom);
        }
        let (mut linked, mut next) = (Linked(ArrayVec::new()), reserved.first);
        for slot in slots {
            match self.link_one(*slot, &mut next) {
                Ok(one) => linked.0.push(one),
                Err(error) => {
                    self.undo(linked);
                    return Err(error);
                }
            }
        }
        Ok(linked)
    }

    #[inline(always)]
    fn link_one(&self, slot: CapSlot, next: &mut u32) -> Result<Place, Error> {
        let held = held(self.source, slot)?;
        let child = self.target().reserved(*next).ok_or(Error::NoRoom)?;
        let after = child.next();
        child.set_badge(held.badge());
        // SAFETY: slots of tables that are locked: one of an entry to this object, and one that is set aside.
        let linked =
            unsafe { Tree::of(held.object().header()).link(child, held.badge(), held.slot()) };
        linked.inspect_err(|_| child.set_next(after))?;
        *next = after.unwrap_or_default();
        Ok(Place { child: child.into(), parent: held.slot().into(), next: after })
    }

    /// Takes the places back.
    #[cold]
    pub fn undo(&self, linked: Linked) {
        for Place { child, parent, next } in linked.0 {
            // SAFETY: slots of tables that are locked since the child was put into its parent's tree.
            unsafe {
                if let Some(object) = parent.as_ref().object() {
                    Tree::of(object.header()).unlink(child.as_ref());
                }
                child.as_ref().set_next(next);
            }
        }
    }

    /// Puts the capabilities into the slots that were set aside. Where they are.
    #[inline(always)]
    pub fn fill(self, linked: Linked, reserved: &mut Reserved) -> Slots {
        let mut slots = Slots::new();
        for Place { child, parent, next } in linked.0 {
            // SAFETY: slots of tables that are locked since they were looked up.
            let (child, held) = unsafe { (child.as_ref(), parent.as_ref().held()) };
            let Some(held) = held else { continue };
            slots.push(CapSlot::new(index_of(child), child.generation()));
            // SAFETY: it was set aside, so nobody refers to what is there.
            unsafe { child.fill(held.to_capability()) };
            *reserved = Reserved { first: next.unwrap_or_default(), count: reserved.count - 1 };
        }
        slots
    }
}

/// Passes the capabilities in `slots` of `source` to `target`, into slots of `reserved`. Where they are.
///
/// # Errors
/// As [`Passing::link`]. Nothing has changed then.
pub fn pass(
    source: &Table,
    slots: &[CapSlot],
    target: &Table,
    reserved: &mut Reserved,
) -> Result<Slots, Error> {
    let tables = Tables::lock(source, target);
    let passing = tables.passing();
    let linked = passing.link(slots, reserved)?;
    Ok(passing.fill(linked, reserved))
}
