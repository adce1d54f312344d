//! Whether a service has what its lines of the manifest name, and nothing else: it looks at each slot of its table, and
//! tries each use of a capability on each of them and on handles that it guesses.
#![forbid(unsafe_code)]

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use guests::{objects::uses, raw};
use orbital_user::{
    CapSlot, Error, Rights,
    abi::{ObjectKind, Registers, Syscall},
    capability::inspect,
    println,
    start::bootstrap,
};

/// Slots that are looked at, and generations: far more than a service of a few capabilities has had.
const SLOTS: u32 = 1024;
const GENERATIONS: core::ops::RangeInclusive<u32> = 1..=8;

/// What the manifest of the test names. A process and its thread are its own in any case.
const NAMED: [&str; 6] = [
    "Endpoint RECEIVE badge 0",
    "Endpoint SEND | GRANT badge 257",
    // One port from 0x80 on: a range stands where others have a badge.
    "IoPort READ | WRITE badge 65664",
    "Process GRANT | MANAGE | WAIT badge 0",
    "System LOG badge 0",
    "Thread GRANT | MANAGE | WAIT badge 0",
];
/// What can be done with that, but for what a process does with itself, and what can be done with any capability.
const POSSIBLE: [&str; 8] = [
    "Call Endpoint",
    "EndpointBind Endpoint",
    "IoPortRead IoPort",
    "IoPortWrite IoPort",
    "Receive Endpoint",
    "ReplyReceive Endpoint",
    "Send Endpoint",
    "SystemLog System",
];
/// What changes one's own table, with whatever is in it.
const OWN: [Syscall; 5] = [
    Syscall::CapabilityClose,
    Syscall::CapabilityCopy,
    Syscall::CapabilityMove,
    Syscall::CapabilityRevoke,
    Syscall::IoPortNarrow,
];
/// All handles that name something.
pub fn handles() -> Vec<CapSlot> {
    let all = (0..SLOTS).flat_map(|slot| GENERATIONS.map(move |turn| CapSlot::new(slot, turn)));
    all.filter(|handle| inspect(*handle).is_ok()).collect()
}

/// Handles that name nothing, most of them near those that do.
fn guesses(live: &[CapSlot]) -> impl Iterator<Item = CapSlot> {
    let near = (0..64).flat_map(|slot| (0..4).map(move |turn| CapSlot::new(slot, turn)));
    let far = [u64::MAX, 1, 1 << 32 | 0xffff_ffff, 1 << 63, 0xffff_8000_0010_0000];
    let all: Vec<_> = near.chain(far.map(CapSlot::from_bits)).collect();
    let live = live.to_vec();
    all.into_iter().filter(move |guess| !guess.is_null() && !live.contains(guess))
}

/// Ends with success if it has what is named, and nothing else.
pub fn tries_everything() {
    let live = handles();
    let mut named: Vec<String> = live.iter().map(|handle| description(*handle)).collect();
    named.sort();
    for name in &named {
        println!("has: {name}");
    }
    assert_eq!(named, NAMED);
    let mut possible = BTreeSet::new();
    for used in uses().into_iter().filter(|used| used.word == 0) {
        let syscall = used.syscall;
        for guess in guesses(&live) {
            let left = raw::call_elsewhere(syscall, registers(syscall, guess));
            assert_ne!(left.code, 0, "{syscall:?} of {guess:?}");
        }
        for handle in others(&live).filter(|_| !OWN.contains(&syscall)) {
            let seen = inspect(handle).expect("a handle that names something");
            let left = raw::call_elsewhere(syscall, registers(syscall, handle));
            let refused = [Error::WrongKind, Error::MissingRights].map(Error::code);
            if let Some(kind) = seen.kind.filter(|_| used.kind.is_some())
                && !refused.contains(&left.code)
            {
                println!("can: {syscall:?} {kind:?}: {}", left.code);
                possible.insert(format!("{syscall:?} {kind:?}"));
            }
        }
    }
    assert!(possible.iter().eq(POSSIBLE.iter()), "{possible:?}");
}

/// Arguments that are right but for the capability: a call that decodes them first comes to that.
fn registers(syscall: Syscall, handle: CapSlot) -> Registers {
    match syscall {
        Syscall::IoPortCreate
        | Syscall::IoPortNarrow
        | Syscall::IoPortRead
        | Syscall::IoPortWrite
        | Syscall::InterruptCreate
        | Syscall::NotificationSignal
        | Syscall::TimerCreate => raw::control([handle.bits(), 0x80, 1, 0]),
        Syscall::MemoryDevice => raw::control([handle.bits(), 0xfed0_0000, 4096, 0]),
        Syscall::TimerSet => raw::control([handle.bits(), u64::MAX, 0, 0]),
        Syscall::ThreadCreate => {
            let mut registers = raw::control([handle.bits(), 0x40_0000, 0x50_0000, 0]);
            registers.words[0] = 1;
            registers
        }
        Syscall::MemoryMap => {
            let mut registers = raw::control([handle.bits(), handle.bits(), 0x40_0000, 0]);
            registers.words[0] = 4096;
            registers.words[1] = Rights::READ.bits().into();
            registers
        }
        // No tag, no wait.
        _ => raw::control([handle.bits(), 0, 0, 0]),
    }
}

/// All but its own process and thread.
fn others(live: &[CapSlot]) -> impl Iterator<Item = CapSlot> {
    let own = [bootstrap().process, bootstrap().thread];
    live.iter().copied().filter(move |handle| !own.contains(handle))
}

/// What it is: its kind, rights and badge.
pub fn description(handle: CapSlot) -> String {
    let seen = inspect(handle).expect("a handle that names something");
    let kind = seen.kind.map_or(String::new(), |kind: ObjectKind| format!("{kind:?}"));
    let mut rights: Vec<_> = seen.rights.iter_names().map(|(name, _)| name).collect();
    rights.sort_by_key(|name| Rights::from_name(name).map(|right| right.bits()));
    format!("{kind} {} badge {}", rights.join(" | "), seen.badge)
}
