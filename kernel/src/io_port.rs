//! I/O ports, which programs reach by system calls alone.
//!
//! Which ports a capability is to stands in the capability itself, in the place of a badge, as what it allows does. So a
//! capability to fewer ports is derived from one to more as a copy with fewer rights is, in the same tree: it takes
//! nothing but `GRANT`, a revoke kills it with all other copies, and no port is ever gained. The object is what that tree
//! belongs to: one for each time that the system gave some out. Several may have the same ports, as a supervisor
//! gives them out anew when a driver has ended.
//!
//! **The serial port** is a program's, and not the log's, while there is an object that was made for all of its ports: until
//! the last capability to that is gone, however few ports it is to. Who asks for some of them alone shares it with the
//! log.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use orbital_abi::{Error, ObjectKind, Rights, arguments::PortRange};

use crate::{
    arch::{self, serial},
    capability::{Capability, Held},
    object::{Header, Object, Quota, Ref},
};

/// What its maker may do with ports: read, write, copy.
const RIGHTS: Rights = Rights::READ.union(Rights::WRITE).union(Rights::GRANT);

/// What all capabilities to some ports are derived from.
#[repr(C)]
pub struct IoPort {
    header: Header,
    /// The serial port is to be given back.
    has_serial: AtomicBool,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for IoPort {
    const KIND: Option<ObjectKind> = Some(ObjectKind::IoPort);

    fn orphaned(&self) {
        self.give_back();
    }
}

impl Drop for IoPort {
    /// It may not have come into any table.
    fn drop(&mut self) {
        self.give_back();
    }
}

impl IoPort {
    fn give_back(&self) {
        if self.has_serial.swap(false, Relaxed) {
            serial::give_back();
        }
    }
}

/// A capability to `ports` that is derived from no other, paid by `quota`.
///
/// # Errors
/// [`Error::InvalidAddress`] where some of them are the kernel's own; [`Error::QuotaExceeded`].
pub fn give(ports: PortRange, quota: &Ref<Quota>) -> Result<Capability, Error> {
    if arch::is_own_port(ports) {
        return Err(Error::InvalidAddress);
    }
    let (header, has_serial) = (Header::new::<IoPort>(), AtomicBool::new(false));
    let object = Ref::new_in(quota, IoPort { header, has_serial })?;
    if ports.contains(serial::PORTS) {
        serial::lend();
        object.has_serial.store(true, Relaxed);
    }
    Ok(Capability { badge: ports.badge(), ..Capability::new(object, RIGHTS) })
}

/// A capability to `ports` alone, that is derived from `held`.
///
/// # Errors
/// [`Error::WrongKind`]; [`Error::MissingRights`] without `GRANT`; [`Error::InvalidAddress`] where some are not its.
pub fn narrow(held: Held<'_>, ports: PortRange) -> Result<Capability, Error> {
    check(held, Rights::GRANT, ports)?;
    Ok(Capability { badge: ports.badge(), ..held.to_capability() })
}

/// Whether `held` allows what `needed` says, with all of `ports`.
///
/// # Errors
/// [`Error::WrongKind`]; [`Error::MissingRights`]; [`Error::InvalidAddress`] where some are not its.
pub fn check(held: Held<'_>, needed: Rights, ports: PortRange) -> Result<(), Error> {
    held.get::<IoPort>(needed)?;
    let all = PortRange::from_badge(held.badge());
    if all.is_some_and(|all| all.contains(ports)) { Ok(()) } else { Err(Error::InvalidAddress) }
}
