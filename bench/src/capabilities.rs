//! Capabilities.

use orbital_user::{CapSlot, Endpoint, Rights, abi::Syscall, capability::copy_to};

use crate::{
    measure::{FEW, MANY, Samples, measure, measure_and},
    stub,
};

/// A copy in one's own table, and its end.
pub fn copy_close() -> Samples {
    let endpoint = Endpoint::create().expect("an endpoint");
    let (source, rights) = (endpoint.slot().bits(), u64::from(Rights::SEND.bits()));
    measure(MANY, || {
        let control = [source, 0, rights, 0];
        // SAFETY: neither call changes memory, and the copy is this function's own.
        unsafe {
            let (copied, copy) = stub::call_with_words(Syscall::CapabilityCopy, control, [0; 2]);
            copied | stub::call(Syscall::CapabilityClose, [copy, 0, 0]).0
        }
    })
}

/// How many capabilities a revoke kills.
const CHILDREN: u64 = 1000;

/// A revoke of many copies in one's own table: the figure is for each of them.
pub fn revoke() -> Samples {
    let endpoint = Endpoint::create().expect("an endpoint");
    let derive = || {
        for _ in 0..CHILDREN {
            copy_to(endpoint.slot(), CapSlot::NULL, Rights::SEND, 0).expect("a copy");
        }
    };
    derive();
    let slot = endpoint.slot().bits();
    // SAFETY: it changes no memory, and nobody else has the copies.
    let revoke = || unsafe { stub::call(Syscall::CapabilityRevoke, [slot, 0, 0]).0 };
    measure_and(FEW, revoke, derive).per(CHILDREN)
}
