//! One capability.
#![forbid(unsafe_code)]

use orbital_abi::{Error, ObjectKind, Rights};

use crate::object::{AnyRef, Object, Ref, Tally};

/// A capability that was looked up or is about to be installed: object, rights, badge.
#[derive(Clone)]
pub struct Capability {
    /// What it names.
    pub object: AnyRef,
    /// What it allows.
    pub rights: Rights,
    /// What its messages carry, or the bits that it may signal; 0 without a badge. Of I/O ports it says which.
    pub badge: u64,
}

impl Capability {
    /// A capability to `object` with `rights` and no badge.
    pub fn new<T: Object>(object: Ref<T>, rights: Rights) -> Self {
        Self { object: object.erase(), rights, badge: 0 }
    }

    /// The object as a `T`.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for an object of another kind, then [`Error::MissingRights`] when not
    /// all of `needed` is there.
    pub fn object<T: Object>(self, needed: Rights) -> Result<Ref<T>, Error> {
        let object = self.object.downcast()?;
        if self.rights.contains(needed) { Ok(object) } else { Err(Error::MissingRights) }
    }

    /// The same capability with at most `rights`, and with `badge` where that is not 0.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `GRANT`; [`Error::AlreadyBadged`] when it has a badge, or
    /// is neither an endpoint's nor a notification's.
    pub fn derive(self, rights: Rights, badge: u64) -> Result<Self, Error> {
        if !self.rights.contains(Rights::GRANT) {
            return Err(Error::MissingRights);
        }
        let has_badges = || {
            let kind = self.object.header().kind();
            matches!(kind, Some(ObjectKind::Endpoint | ObjectKind::Notification))
        };
        if badge != 0 && (self.badge != 0 || !has_badges()) {
            return Err(Error::AlreadyBadged);
        }
        let badge = if badge == 0 { self.badge } else { badge };
        Ok(Self { rights: self.rights & rights, badge, ..self })
    }
}

/// A capability that no handle names any more: until this is dropped it counts as there, so that its object learns
/// when the last one goes, and does so without a lock.
pub struct EntryGuard {
    object: AnyRef,
    receives: bool,
}

impl EntryGuard {
    #[inline]
    pub(super) fn new(object: AnyRef, rights: Rights) -> Self {
        Self { object, receives: rights.contains(Rights::RECEIVE) }
    }

    /// Forgets the entry: whoever calls counts it out, as this, and its reference.
    #[inline]
    pub(super) fn killed(self) -> Tally {
        let receives = self.receives;
        core::mem::forget(self);
        Tally::one(receives)
    }

    /// Whether it named something for whose end one can wait.
    #[inline]
    pub fn has_end(&self) -> bool {
        matches!(self.object.header().kind(), Some(ObjectKind::Process | ObjectKind::Thread))
    }

    /// What it named.
    #[inline]
    pub fn object(&self) -> &AnyRef {
        &self.object
    }
}

impl Drop for EntryGuard {
    fn drop(&mut self) {
        self.object.header().capability_removed(self.receives);
    }
}
