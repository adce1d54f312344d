//! Handles of capabilities.
#![forbid(unsafe_code)]

use core::num::NonZeroU64;

use orbital_abi::{
    CapSlot, Error, ObjectKind, Registers, Rights, Syscall, arguments::CapabilityCopy,
};

use crate::syscall::harmless;

/// A capability of this process, closed on drop.
#[derive(Debug, PartialEq, Eq)]
pub struct Capability(CapSlot);

/// What a capability is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The kind of its object.
    pub kind: Option<ObjectKind>,
    /// What it allows.
    pub rights: Rights,
    /// Its badge; 0 for none.
    pub badge: u64,
    /// By which number its object is told apart from all others of its kind that are there: for a process and a thread
    /// the number that it has otherwise.
    pub identity: u64,
    /// It is to an endpoint at which nobody can receive any more.
    pub is_over: bool,
}

impl Capability {
    /// Takes over the capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(slot)
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0
    }

    /// Gives the slot away: it stays open.
    pub fn into_slot(self) -> CapSlot {
        let slot = self.0;
        core::mem::forget(self);
        slot
    }

    /// A copy in one's own table, with these rights at most, and `badge` where it is not 0.
    ///
    /// # Errors
    /// [`Error::MissingRights`] without `GRANT`; [`Error::AlreadyBadged`]; [`Error::Revoked`] and
    /// [`Error::TooDeep`]; [`Error::TableFull`]; [`Error::QuotaExceeded`].
    pub fn copy(&self, rights: Rights, badge: u64) -> Result<Self, Error> {
        copy_to(self.0, CapSlot::NULL, rights, badge).map(Self)
    }

    /// Kills all capabilities that were derived from it, in whatever table they are.
    ///
    /// # Errors
    /// As [`revoke`].
    pub fn revoke(&self) -> Result<(), Error> {
        revoke(self.0)
    }

    /// Kills those capabilities that were derived from it and carry `badge`.
    ///
    /// # Errors
    /// As [`cut_off`].
    pub fn cut_off(&self, badge: NonZeroU64) -> Result<(), Error> {
        cut_off(self.0, badge)
    }
}

impl Drop for Capability {
    fn drop(&mut self) {
        // One that is stale is closed already.
        let _ = close(self.0);
    }
}

/// Copies a capability into the table of `process`, or one's own where that is null; gives the slot
/// there.
///
/// # Errors
/// As [`Capability::copy`]; those of the lookup of both slots.
pub fn copy_to(
    source: CapSlot,
    process: CapSlot,
    rights: Rights,
    badge: u64,
) -> Result<CapSlot, Error> {
    let arguments = CapabilityCopy { source, process, rights, badge };
    let results = harmless(Syscall::CapabilityCopy, &arguments.encode())?;
    Ok(CapSlot::from_bits(results.control[0]))
}

/// Moves a capability into the table of `process`, or another slot of one's own where that is null; gives the
/// slot there. What was derived from it stays so.
///
/// # Errors
/// [`Error::MissingRights`] without `GRANT`, but for one's own table; [`Error::Revoked`]; [`Error::TooDeep`];
/// [`Error::TableFull`]; [`Error::QuotaExceeded`]; those of the lookup of both slots.
pub fn move_to(source: CapSlot, process: CapSlot) -> Result<CapSlot, Error> {
    let registers = Registers::control([source.bits(), process.bits(), 0, 0]);
    let results = harmless(Syscall::CapabilityMove, &registers)?;
    Ok(CapSlot::from_bits(results.control[0]))
}

/// Kills all capabilities that were derived from the one in `slot`, in whatever table they are. When it returns,
/// nothing is begun through any of them any more, nothing is mapped that was mapped through one, and nothing is set: no fault
/// handler, no timer's notification, no binding.
///
/// # Errors
/// [`Error::EmptySlot`]; [`Error::StaleCapability`].
pub fn revoke(slot: CapSlot) -> Result<(), Error> {
    harmless(Syscall::CapabilityRevoke, &Registers::control([slot.bits(), 0, 0, 0])).map(|_| ())
}

/// Kills those capabilities that were derived from the one in `slot` and carry `badge`, and with them what was derived
/// from those, in whatever table they are. When it returns, nothing is begun through any of them any more. So a
/// server cuts off one client, and all to whom that has passed its capability on.
///
/// # Errors
/// [`Error::EmptySlot`]; [`Error::StaleCapability`].
pub fn cut_off(slot: CapSlot, badge: NonZeroU64) -> Result<(), Error> {
    let registers = Registers::control([slot.bits(), badge.get(), 0, 0]);
    harmless(Syscall::CapabilityRevoke, &registers).map(|_| ())
}

/// Empties a slot.
///
/// # Errors
/// [`Error::EmptySlot`]; [`Error::StaleCapability`].
pub fn close(slot: CapSlot) -> Result<(), Error> {
    harmless(Syscall::CapabilityClose, &Registers::control([slot.bits(), 0, 0, 0])).map(|_| ())
}

/// Tells what the capability in `slot` is.
///
/// # Errors
/// [`Error::EmptySlot`]; [`Error::StaleCapability`].
pub fn inspect(slot: CapSlot) -> Result<Inspection, Error> {
    let registers = Registers::control([slot.bits(), 0, 0, 0]);
    let answer = harmless(Syscall::CapabilityInspect, &registers)?;
    let [kind, rights, badge, identity] = answer.control;
    Ok(Inspection {
        kind: ObjectKind::from_number(kind),
        rights: Rights::from_bits_truncate(rights as u32),
        badge,
        identity,
        is_over: answer.words[0] != 0,
    })
}
