//! The object behind System capabilities. There is one; it holds nothing, the rights are all.

use orbital_abi::{Error, ObjectKind};

use crate::object::{Header, Object, Ref};

/// The system.
#[repr(C)]
pub struct SystemObject {
    header: Header,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for SystemObject {
    const KIND: Option<ObjectKind> = Some(ObjectKind::System);
}

impl SystemObject {
    /// The system.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] without memory.
    pub fn new() -> Result<Ref<Self>, Error> {
        Ref::new(Self { header: Header::new::<Self>() })
    }
}
