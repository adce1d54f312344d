//! How long interrupts stay off, at worst.
#![forbid(unsafe_code)]

use alloc::{vec, vec::Vec};

use orbital_user::{
    Endpoint, MemoryObject, Message, Rights, abi::layout::PAGE_SIZE, capability::revoke,
    start::take_granted, system::take_interrupts_off,
};

use crate::{
    crowd,
    mappings::{PLACE, map_at},
    measure::Samples,
    roles,
};

/// How many capabilities are revoked, or closed before a process ends, and how many mappings one has then.
const MANY: u64 = 10_000;
/// How much memory is unmapped, and how much a process has when it ends.
const LARGE: u64 = 64 << 20;
/// What that process may have: twice the memory for page tables, and kernel memory for all that it maps.
const HOARDER_QUOTA: (u64, u64) = (LARGE / PAGE_SIZE * 2, 8 << 20);

/// The longest stretch in each of five works that are long.
pub fn worst() -> Samples {
    Samples::of(vec![
        revoke_capabilities(),
        revoke_of_a_crowd(),
        unmap(),
        end_process("hoarder"),
        end_process("spendthrift"),
    ])
}

/// The longest stretch of this CPU since the last time that this was asked.
fn longest() -> u64 {
    take_interrupts_off(0).expect("the right to read counters")
}

fn revoke_capabilities() -> u64 {
    let endpoint = Endpoint::create().expect("an endpoint");
    let copies: Vec<_> =
        (0..MANY).map(|_| endpoint.copy(Rights::SEND, 0).expect("a copy")).collect();
    longest();
    revoke(endpoint.slot()).expect("all copies are there");
    drop(copies);
    longest()
}

/// What a hundred processes have, a thousand each, while they use it.
fn revoke_of_a_crowd() -> u64 {
    let endpoint = Endpoint::create().expect("an endpoint");
    let crowd = crowd::gather(&endpoint);
    longest();
    revoke(endpoint.slot()).expect("all copies are there");
    let longest = longest();
    crowd.iter().for_each(roles::end);
    longest
}

fn unmap() -> u64 {
    let memory = MemoryObject::create(LARGE).expect("memory");
    let mapping = memory.map_write(LARGE).expect("a mapping");
    longest();
    drop(mapping);
    longest()
}

fn end_process(role: &str) -> u64 {
    let endpoint = Endpoint::create().expect("an endpoint");
    let (frames, kernel_bytes) = HOARDER_QUOTA;
    let child = roles::start(role, |spawn| {
        spawn.quota(frames, kernel_bytes).grant(endpoint.slot(), Rights::SEND, 0)
    });
    // It has all that it wants.
    endpoint.receive().expect("its call");
    longest();
    roles::end(&child);
    longest()
}

/// The process that ends with a large table in which nothing is left.
pub fn spendthrift() {
    let endpoint = Endpoint::from_slot(take_granted(0).expect("an endpoint").into_slot());
    let own = Endpoint::create().expect("an endpoint");
    let copies: Vec<_> = (0..MANY).map(|_| own.copy(Rights::SEND, 0).expect("a copy")).collect();
    drop(copies);
    // Nobody answers.
    let _ = endpoint.call(&Message::default());
}

/// The process that ends: maps as much as it shall have, and waits.
pub fn hoarder() {
    let endpoint = Endpoint::from_slot(take_granted(0).expect("an endpoint").into_slot());
    let memory = MemoryObject::create(LARGE).expect("memory");
    let end = PLACE + LARGE;
    map_at(&memory, PLACE, 0, LARGE);
    // With a page between them: no two are one.
    for at in 0..MANY - 1 {
        map_at(&memory, end + (2 * at + 1) * PAGE_SIZE, at * PAGE_SIZE, PAGE_SIZE);
    }
    // Nobody answers.
    let _ = endpoint.call(&Message::default());
}
