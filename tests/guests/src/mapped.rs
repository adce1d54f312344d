//! A place of a program's own to map memory at, and what stands there.

use orbital_user::{
    CapSlot, Error, MemoryObject, Rights,
    abi::arguments::{MemoryMap, MemoryProtect, MemoryUnmap},
    memory::{map, protect, unmap},
};

/// Where nothing else is.
pub const PLACE: u64 = 0x3000_0000_0000;
/// For reading and writing.
pub const READ_WRITE: Rights = Rights::READ.union(Rights::WRITE);

/// The mapping of the first `bytes` of `memory` at [`PLACE`], in this process.
pub fn mapping(memory: &MemoryObject, bytes: u64) -> MemoryMap {
    let memory = memory.slot();
    MemoryMap {
        process: CapSlot::NULL,
        memory,
        address: PLACE,
        offset: 0,
        bytes,
        rights: READ_WRITE,
    }
}

/// Maps at [`PLACE`] or behind.
pub fn do_map(arguments: MemoryMap) -> Result<(), Error> {
    // SAFETY: the cases map where nothing is, or what is refused.
    unsafe { map(&arguments) }
}

/// Unmaps there.
pub fn do_unmap(address: u64, bytes: u64) -> Result<(), Error> {
    // SAFETY: nothing else of a program stands there.
    unsafe { unmap(&MemoryUnmap { process: CapSlot::NULL, address, bytes }) }
}

/// Changes what is allowed there.
pub fn do_protect(address: u64, bytes: u64, rights: Rights) -> Result<(), Error> {
    // SAFETY: nothing else of a program stands there.
    unsafe { protect(&MemoryProtect { process: CapSlot::NULL, address, bytes, rights }) }
}

fn at(address: u64) -> *mut u64 {
    core::ptr::with_exposed_provenance_mut(address as usize)
}

/// The word at `address`, which the case has mapped.
pub fn read(address: u64) -> u64 {
    // SAFETY: the case has mapped the page.
    unsafe { at(address).read_volatile() }
}

/// Changes the word at `address`, which the case has mapped for writing.
pub fn write(address: u64, value: u64) {
    // SAFETY: the case has mapped the page for writing.
    unsafe { at(address).write_volatile(value) }
}
