//! Pagers: memory that is mapped when it is missed.

use alloc::vec::Vec;

use guests::{
    bare::{PAGE, Program},
    children::{start_with_arguments, succeed},
    cpus::{is_soak, scaled},
    threads::{granted, label},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason,
    FaultKind::{PageRead, PageWrite},
    MemoryObject, Rights,
    abi::{
        arguments::{MemoryMap, MemoryProtect},
        fault::{FaultMessage, RESUME},
    },
    endpoint::reply,
    memory::{MappingMut, map, protect},
    start::take_granted,
};

use crate::{ARRAY, Handled, STRIDE, increments, next_fault, walks};

/// Threads that one pager serves.
const THREADS: u64 = 4;
/// The label by which the pager is asked whether all went well.
const CHECK: u32 = 9;

/// Words of the array that is read and then written: each takes two faults.
fn words() -> u64 {
    scaled(10_000) / 2
}

fn word(memory: &mut MappingMut, number: u64) -> &mut [u8; 8] {
    memory[(number * PAGE) as usize..].first_chunk_mut().unwrap()
}

/// Each word is on a page of its own, which the pager maps when it is missing.
pub fn a_pager_serves_a_sparse_array() {
    let words = scaled(10_000);
    let Handled { bare, endpoint, _told, .. } =
        Handled::at(Endpoint::create().unwrap(), walks, words, 4 << 20);
    let memory = MemoryObject::create(words * PAGE).unwrap();
    let mut own = memory.map_write(words * PAGE).unwrap();
    bare.thread.start().unwrap();
    for word in 0..words {
        let fault = next_fault(&endpoint);
        assert_eq!((fault.kind, fault.address), (PageRead, ARRAY + word * STRIDE));
        let offset = word * PAGE;
        own[offset as usize..][..8].copy_from_slice(&word.to_le_bytes());
        let mapping = MemoryMap {
            process: bare.process.slot(),
            memory: memory.slot(),
            address: fault.address,
            offset,
            bytes: PAGE,
            rights: Rights::READ,
        };
        // SAFETY: the memory is mapped into another process.
        unsafe { map(&mapping) }.unwrap();
        reply(&label(RESUME)).unwrap();
    }
    assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(0)));
}

/// Maps a word for reading where it is read, and lets it be written where it is.
fn serve(process: CapSlot, memory: &MemoryObject, own: &mut MappingMut, told: FaultMessage) -> u64 {
    let address = told.fault.address;
    let number = (address - ARRAY) / STRIDE;
    assert_eq!(address, ARRAY + number * STRIDE);
    if told.fault.kind == PageRead {
        *word(own, number) = number.to_le_bytes();
        let (memory, offset, bytes) = (memory.slot(), number * PAGE, PAGE);
        let mapping = MemoryMap { process, memory, address, offset, bytes, rights: Rights::READ };
        // SAFETY: the memory is mapped into another process.
        unsafe { map(&mapping) }.unwrap();
    } else {
        assert_eq!(told.fault.kind, PageWrite);
        let rights = Rights::READ | Rights::WRITE;
        // SAFETY: as above.
        unsafe { protect(&MemoryProtect { process, address, bytes: PAGE, rights }) }.unwrap();
    }
    number
}

/// Serves the array of a process, in which each thread has a part of its own, until it is asked how it went.
pub fn pages() {
    let (endpoint, words) = (granted(0), words());
    let process = take_granted(1).unwrap().into_slot();
    let memory = MemoryObject::create(words * PAGE).unwrap();
    let mut own = memory.map_write(words * PAGE).unwrap();
    let mut faults = 0;
    let mut numbers = [0; THREADS as usize];
    let mut received = endpoint.receive().unwrap();
    while received.is_fault {
        let told = FaultMessage::decode(&received.message).unwrap();
        let number = serve(process, &memory, &mut own, told);
        // Badge and number say the same of who it was.
        assert_eq!(received.badge, number / (words / THREADS) + 1);
        let known = &mut numbers[received.badge as usize - 1];
        assert!(*known == 0 || *known == told.thread);
        *known = told.thread;
        faults += 1;
        received = endpoint.reply_receive(&label(RESUME)).unwrap();
    }
    assert_eq!((received.message, faults), (label(CHECK), 2 * words));
    for number in 0..words {
        assert_eq!(u64::from_le_bytes(*word(&mut own, number)), number + 1);
    }
    reply(&label(CHECK)).unwrap();
}

pub fn a_pager_in_a_process_of_its_own_serves_several_threads() {
    let words = words();
    let part = words / THREADS;
    let endpoint = Endpoint::create().unwrap();
    let program = Program::new(increments);
    let bare = program.prepare_with(part, words.max(200), 4 << 20);
    let others = (1..THREADS)
        .map(|number| program.thread(&bare.process, 0, (number * part) << 32 | part, 128));
    let threads: Vec<_> = core::iter::once(bare.thread).chain(others).collect();
    for (thread, badge) in threads.iter().zip(1..) {
        // The capability may go as long as there is another.
        let told = endpoint.copy(Rights::SEND, badge).unwrap();
        thread.set_fault_handler(told.slot()).unwrap();
        thread.start().unwrap();
    }
    let pager = start_with_arguments("pages", if is_soak() { "soak=1" } else { "" }, |spawn| {
        spawn
            .grant(endpoint.slot(), Rights::RECEIVE, 0)
            .grant(bare.process.slot(), Rights::MANAGE, 0)
            .quota(words + 256, 4 << 20)
    });
    for thread in threads {
        assert_eq!(thread.wait(), Ok(ExitReason::Exited(0)));
    }
    assert_eq!(endpoint.call(&label(CHECK)), Ok(label(CHECK)));
    succeed(&pager);
}
