//! Interrupt objects: each has a line for as long as there are capabilities to it.

use orbital_abi::{Error, ObjectKind};

use super::line::Claim;
use crate::{
    arch,
    ipc::Binding,
    object::{Header, Object, Quota, Ref},
};

/// A line that is taken.
#[repr(C)]
pub struct Interrupt {
    header: Header,
    claim: Claim,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Interrupt {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Interrupt);

    /// Nobody can acknowledge it any more: the line is free.
    fn orphaned(&self) {
        self.claim.release();
    }
}

impl Drop for Interrupt {
    /// It may not have come into any table.
    fn drop(&mut self) {
        self.claim.release();
    }
}

impl Interrupt {
    /// Takes line `line`, paid by `quota`. It interrupts nobody.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where there is no such line; [`Error::AlreadyBound`] while another object has it;
    /// [`Error::QuotaExceeded`].
    pub fn new(line: u64, quota: &Ref<Quota>) -> Result<Ref<Self>, Error> {
        let claim = Claim::take(line)?;
        Ref::new_in(quota, Self { header: Header::new::<Self>(), claim })
    }

    /// Lets it signal as `binding` says from here on, or nobody, in place of what was before. This CPU takes it. What has
    /// come before is forgotten.
    ///
    /// # Errors
    /// [`Error::StaleCapability`] when its last capability has just been closed; [`Error::NotificationGone`];
    /// [`Error::Revoked`] when the capability to the notification was.
    pub fn bind(&self, binding: Option<Binding>) -> Result<(), Error> {
        self.claim.bind(binding, arch::cpu_index())
    }

    /// Lets it interrupt again.
    ///
    /// # Errors
    /// [`Error::StaleCapability`] when its last capability has just been closed; [`Error::NotificationGone`] where
    /// nothing is bound to it, or not any more; [`Error::Revoked`] when the capability to the notification was.
    pub fn acknowledge(&self) -> Result<(), Error> {
        self.claim.acknowledge()
    }
}
