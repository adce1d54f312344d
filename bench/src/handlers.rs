//! Faults that a handler in another process answers.

use orbital_user::{
    Endpoint, Rights, Thread,
    abi::{Syscall, fault::FaultMessage},
    start::{bootstrap, take_granted},
};

use crate::{
    measure::{MANY, Samples, measure},
    roles,
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
    let samples = measure(MANY, || resume_and_receive(slot));
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

/// Answers with the label 0, and waits for the next fault.
#[inline(always)]
fn resume_and_receive(endpoint: u64) -> u64 {
    let code;
    // SAFETY: the call changes no memory; all registers that it changes are given as changed, or saved
    // where the compiler does not give them away.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "push rbp",
            "syscall",
            "pop rbp",
            "pop rbx",
            inlateout("rax") Syscall::ReplyReceive as u64 => code,
            inlateout("rdi") endpoint => _,
            inlateout("rsi") 0_u64 => _,
            inlateout("rdx") NEVER => _,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r12") _,
            lateout("r13") _, lateout("r14") _, lateout("r15") _,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    code
}
