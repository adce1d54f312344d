//! What a slot holds, as long as its table is locked.
#![forbid(unsafe_code)]

use orbital_abi::{Error, Rights};

use super::{ROOT, Slot, WAITED};
use crate::{
    capability::Capability,
    object::{AnyRef, Object},
};

/// A capability in its slot. Its table is locked.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    pub(super) slot: &'a Slot,
    pub(super) object: &'a AnyRef,
}

impl<'a> Held<'a> {
    /// Where it is.
    #[inline]
    pub fn slot(self) -> &'a Slot {
        self.slot
    }

    /// What it names.
    #[inline]
    pub fn object(self) -> &'a AnyRef {
        self.object
    }

    /// What it allows.
    #[inline]
    pub fn rights(self) -> Rights {
        self.slot.rights()
    }

    /// What its messages carry, or the bits that it may signal; 0 without a badge.
    #[inline]
    pub fn badge(self) -> u64 {
        self.slot.badge()
    }

    /// Whether it was derived from no other: so no revoke kills it. One that only has lost all above it is none.
    #[inline]
    pub fn is_root(self) -> bool {
        self.slot.rights.get() & ROOT != 0
    }

    /// A thread of the table's process waits by it from now on: it stays in its tree for that.
    #[inline]
    pub fn note_wait(self) {
        self.slot.rights.update(|rights| rights | WAITED);
    }

    /// The object as a `T`, as long as the capability is there.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for an object of another kind, then [`Error::MissingRights`] when not
    /// all of `needed` is there.
    #[inline]
    pub fn get<T: Object>(self, needed: Rights) -> Result<&'a T, Error> {
        let object = self.object.get()?;
        // What else stands there is no right that anybody can need.
        let rights = Rights::from_bits_retain(self.slot.rights.get().into());
        if rights.contains(needed) { Ok(object) } else { Err(Error::MissingRights) }
    }

    /// The object as a `T`, if it is one and the capability has the rights, as long as that is there.
    #[inline(always)]
    pub fn allows<T: Object>(self, needed: Rights) -> Option<&'a T> {
        let is_one = self.object.header().kind() == T::KIND && self.rights().contains(needed);
        is_one.then(|| self.object.get().ok())?
    }

    /// A capability that is derived from it.
    ///
    /// # Errors
    /// As [`Capability::derive`].
    #[inline]
    pub fn derive(self, rights: Rights, badge: u64) -> Result<Capability, Error> {
        self.to_capability().derive(rights, badge)
    }

    /// The same capability, to be used without its slot.
    #[inline]
    pub fn to_capability(self) -> Capability {
        Capability { object: self.object.clone(), rights: self.rights(), badge: self.badge() }
    }
}
