//! Faults that a handler in another process answers.

use orbital_user::{
    Endpoint, Rights, Thread,
    abi::{
        Syscall,
        fault::{FaultMessage, RESUME},
    },
    start::{bootstrap, take_granted},
};

use crate::{
    measure::{MANY, Samples, measure},
    roles, stub,
};

/// Where nothing is.
const NOWHERE: usize = 0x2000_0000_0000;
/// A deadline that never comes.
const NEVER: u64 = u64::MAX;

/// One turn of a handler: it lets a thread of another process go on, which faults again at once, and gets
/// word of that. So each has a fault, its message, its answer and a restart.
pub fn fault() -> Samples {
    let endpoint = Endpoint::create().expect("an endpoint");
    let faulting = roles::start("faulter", |spawn| spawn.grant(endpoint.slot(), Rights::SEND, 7));
    let first = endpoint.receive().expect("a fault");
    let told = FaultMessage::decode(&first.message).expect("a fault");
    assert!(first.is_fault && told.fault.address == NOWHERE as u64);
    let slot = endpoint.slot().bits();
    let samples = measure(MANY, || {
        // SAFETY: the call changes no memory.
        unsafe { stub::call_with_four(Syscall::ReplyReceive, [slot, u64::from(RESUME), NEVER, 0]) }
            .0
    });
    roles::end(&faulting);
    samples
}

/// The process that faults for ever.
pub fn faulter() {
    let endpoint = take_granted(0).expect("an endpoint");
    let own = Thread::from_slot(bootstrap().thread);
    own.set_fault_handler(endpoint.slot()).expect("its own thread");
    let nowhere = core::ptr::with_exposed_provenance::<u8>(NOWHERE);
    // SAFETY: not sound, on purpose: nothing is there, and the read never ends.
    unsafe { nowhere.read_volatile() };
}
