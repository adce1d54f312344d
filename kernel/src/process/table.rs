//! What a process has in its table.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Error};

use super::Process;
use crate::{
    capability::{Capability, Held, Kept, table::Closed},
    cause,
    object::{Paid, Quota, Ref},
};

impl Process {
    /// What `slot` of its table holds.
    ///
    /// # Errors
    /// Those of a [lookup](crate::capability::table::Entries::lookup).
    pub fn capability(&self, slot: CapSlot) -> Result<Capability, Error> {
        self.table.lock().lookup(slot).map(Held::to_capability)
    }

    /// Runs `f` on what `slot` of its table holds, under the table's lock, which keeps that from being closed.
    ///
    /// # Errors
    /// Those of a [lookup](crate::capability::table::Entries::lookup).
    #[inline(always)]
    pub fn with_capability<R>(
        &self,
        slot: CapSlot,
        f: impl FnOnce(Held<'_>) -> R,
    ) -> Result<R, Error> {
        self.table.lock().lookup(slot).map(f)
    }

    /// Puts a capability into its table.
    ///
    /// # Errors
    /// Those of an [insertion](crate::capability::table::Entries::insert).
    pub fn install(&self, capability: Capability) -> Result<CapSlot, Error> {
        self.table.lock().insert(capability, &self.quota)
    }

    /// The same, in the name of the capability in `slot`, if that is still there.
    ///
    /// # Errors
    /// Those of a [lookup](crate::capability::table::Entries::lookup) and of [`Process::install`].
    pub fn install_by(&self, slot: CapSlot, capability: Capability) -> Result<CapSlot, Error> {
        let mut entries = self.table.lock();
        entries.lookup(slot)?;
        entries.insert(capability, &self.quota)
    }

    /// What a revoke finds of something that is about to be made through the capability in `slot` of its table, and
    /// outlasts the call; paid by `quota`. `None` where nobody can revoke that.
    ///
    /// # Errors
    /// Those of [`Kept::beside`].
    pub fn keep(&self, slot: CapSlot, quota: &Ref<Quota>) -> Result<Option<Paid<Kept>>, Error> {
        match self.with_capability(slot, |held| held.is_root())? {
            true => Ok(None),
            false => Kept::beside(&self.table, slot, None, quota).map(Some),
        }
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// Those of a [lookup](crate::capability::table::Entries::lookup).
    #[inline(always)]
    pub fn close(&self, slot: CapSlot) -> Result<(), Error> {
        self.remove(slot).map(drop)
    }

    /// The same; what was there, to be dropped.
    ///
    /// # Errors
    /// As [`Process::close`].
    #[inline(always)]
    pub fn remove(&self, slot: CapSlot) -> Result<Closed, Error> {
        let removed = self.table.lock().remove(slot)?;
        self.left(&removed);
        // Not under the lock, which the end of the object may need again.
        Ok(removed)
    }

    /// What has left a slot may have left its reaper something to do.
    #[inline]
    pub fn left(&self, closed: &Closed) {
        if matches!(closed, Closed::Leaving(_)) {
            self.reap_at(cause::priority());
        }
    }

    /// Whether `slot` of its table still holds what was found there.
    pub fn still_has(&self, slot: CapSlot) -> bool {
        self.table.lock().lookup(slot).is_ok()
    }
}
