//! Mappings.

use orbital_user::{
    CapSlot, MemoryObject, Rights,
    abi::{Syscall, arguments::MemoryMap, layout::PAGE_SIZE},
    memory::map,
};

use crate::{
    measure::{MANY, Samples, measure},
    stub,
};

/// Where nothing else is.
pub const PLACE: u64 = 0x3000_0000_0000;
/// For reading and writing.
pub const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);

/// Maps `bytes` of `memory` from `offset` on at `address`, where nothing is.
pub fn map_at(memory: &MemoryObject, address: u64, offset: u64, bytes: u64) {
    let (process, memory) = (CapSlot::NULL, memory.slot());
    let arguments = MemoryMap { process, memory, address, offset, bytes, rights: READ_WRITE };
    // SAFETY: addresses from `PLACE` on belong to the benchmark, which maps each once.
    unsafe { map(&arguments) }.expect("a mapping");
}

/// Writes to the word at `address`, which is mapped for writing.
#[inline(always)]
pub fn touch(address: u64) {
    // SAFETY: the caller has mapped the page for itself alone.
    unsafe { core::ptr::with_exposed_provenance_mut::<u64>(address as usize).write_volatile(1) }
}

/// A page of an object is mapped and unmapped; the page before it in the same object stays mapped right
/// before it, so that no page table comes and goes.
pub fn map_unmap() -> Samples {
    let memory = MemoryObject::create(2 * PAGE_SIZE).expect("two pages");
    map_at(&memory, PLACE, 0, PAGE_SIZE);
    let address = PLACE + PAGE_SIZE;
    map_at(&memory, address, PAGE_SIZE, PAGE_SIZE);
    touch(address);
    assert_eq!(unmap(address), 0, "the page was mapped");
    let (slot, rights) = (memory.slot().bits(), u64::from(READ_WRITE.bits()));
    measure(MANY, || {
        let (control, words) = ([0, slot, address, PAGE_SIZE], [PAGE_SIZE, rights]);
        // SAFETY: nothing else is at the address.
        let mapped = unsafe { stub::call_with_words(Syscall::MemoryMap, control, words) }.0;
        mapped | unmap(address)
    })
}

#[inline(always)]
fn unmap(address: u64) -> u64 {
    // SAFETY: the page is the benchmark's own, and nobody refers to it.
    unsafe { stub::call(Syscall::MemoryUnmap, [0, address, PAGE_SIZE]) }.0
}
