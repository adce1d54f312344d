//! What a source of signals has that is bound to a notification: a device's line, or the log.
#![forbid(unsafe_code)]

use orbital_abi::Error;

use super::{Notification, notification::Posted};
use crate::{
    capability::Kept,
    object::{Paid, Ref},
};

/// What it signals.
pub struct Binding {
    /// The notification.
    pub notification: Ref<Notification>,
    /// By what a revoke finds that; `None` where nobody can revoke the capability to it.
    pub kept: Option<Paid<Kept>>,
    /// Which of its bits.
    pub bits: u64,
}

impl Binding {
    /// Whether the capability was revoked through which it was bound.
    pub fn is_revoked(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.is_revoked())
    }

    /// Whether it can signal.
    ///
    /// # Errors
    /// [`Error::Revoked`]; [`Error::NotificationGone`].
    pub fn check(&self) -> Result<(), Error> {
        match self.is_revoked() {
            true => Err(Error::Revoked),
            false if self.notification.is_closed() => Err(Error::NotificationGone),
            false => Ok(()),
        }
    }

    /// Signals; who was chosen is still to be told.
    ///
    /// # Errors
    /// As [`Binding::check`].
    pub fn post(&self) -> Result<Posted, Error> {
        if self.is_revoked() {
            return Err(Error::Revoked);
        }
        self.notification.post(self.bits)
    }
}
