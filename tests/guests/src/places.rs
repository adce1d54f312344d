//! The addresses at which the runtime maps what has no place of its own. Each is used once, so a
//! program's page tables grow as it starts children and threads. A case that counts frames makes them
//! beforehand.

use orbital_user::{
    CapSlot, MemoryObject, Rights,
    abi::{
        arguments::{MemoryMap, MemoryUnmap},
        layout::PAGE_SIZE,
    },
    memory::{map, unmap},
};

/// What one page table spans, in bytes.
const SPAN: u64 = 2 << 20;

/// Makes the page tables of the next `bytes` of addresses.
pub fn pave(bytes: u64) {
    let memory = MemoryObject::create(PAGE_SIZE).expect("a page");
    let next = memory.map_read(PAGE_SIZE).expect("a place").address();
    for address in (next..next + bytes + SPAN).step_by(SPAN as usize) {
        let address = address.next_multiple_of(SPAN);
        let process = CapSlot::NULL;
        let mapping = MemoryMap {
            process,
            memory: memory.slot(),
            address,
            offset: 0,
            bytes: PAGE_SIZE,
            rights: Rights::READ,
        };
        // SAFETY: nobody uses these addresses yet.
        unsafe { map(&mapping) }.expect("an empty page");
        // SAFETY: as above; the page tables stay.
        unsafe { unmap(&MemoryUnmap { process, address, bytes: PAGE_SIZE }) }.expect("the page");
    }
}
