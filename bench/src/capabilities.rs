//! Capabilities.

use orbital_user::{Endpoint, Rights, abi::Syscall};

use crate::{
    measure::{MANY, Samples, measure},
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
