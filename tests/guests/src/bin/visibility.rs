//! What one CPU changes in an address space holds on all others from the call's return on.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    bare::{DATA, PAGE, Program, faulted},
    code,
    cpus::{self, bit, leave_nothing, scaled, until},
    mapped::{PLACE, do_map, do_unmap, mapping, read},
    suite,
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{
    ExitReason, FaultKind, MemoryObject, Rights,
    abi::arguments::{MemoryProtect, MemoryUnmap},
    memory::{protect, unmap},
};

suite! {
    // In a long run readers on more CPUs than the host has cores take their time to come round.
    on "cpus=1,2,4 timeout=240": [
        another_frame_at_an_address_is_seen_at_once,
        what_is_unmapped_is_gone_everywhere,
        what_is_protected_is_written_no_more,
    ],
    roles: [],
}

/// The round that goes on, and how many readers have found what they should in it.
static ROUND: AtomicU64 = AtomicU64::new(0);
static SEEN: AtomicU64 = AtomicU64::new(0);
const LAST: u64 = u64::MAX;

/// Looks at the place once a round, so that its CPU remembers what was there.
fn looks(_: &Own) {
    let mut round = 0;
    while round != LAST {
        let before = round;
        until(|| ROUND.load(SeqCst) != before);
        round = ROUND.load(SeqCst);
        if round != LAST {
            assert_eq!(read(PLACE), round);
            SEEN.fetch_add(1, SeqCst);
        }
    }
}

fn another_frame_at_an_address_is_seen_at_once() {
    cpus::be_equal();
    let cpus = cpus::count();
    let readers: [_; 4] =
        core::array::from_fn(|cpu| (cpu < cpus).then(|| Worker::on(bit(cpu), MIDDLE, looks, 0)));
    for round in 1..=scaled(1_000) {
        let memory = MemoryObject::create(PAGE).unwrap();
        memory.map_write(PAGE).unwrap()[..8].copy_from_slice(&round.to_le_bytes());
        do_map(mapping(&memory, PAGE)).unwrap();
        SEEN.store(0, SeqCst);
        ROUND.store(round, SeqCst);
        until(|| SEEN.load(SeqCst) == cpus as u64);
        do_unmap(PLACE, PAGE).unwrap();
    }
    ROUND.store(LAST, SeqCst);
    for reader in readers.into_iter().flatten() {
        assert_eq!(reader.wait(), Ok(ExitReason::Exited(0)));
    }
}

code! {
    reads_on: ["mov ebx, 0x500000", "2:"] ["mov rax, [rbx]", "jmp 2b"];
    counts_on: ["mov ebx, 0x500000", "2:"] ["inc qword ptr [rbx]", "jmp 2b"];
}

fn what_is_unmapped_is_gone_everywhere() {
    cpus::be_equal();
    let rounds = scaled(1_000);
    let memory = MemoryObject::create(PAGE).unwrap();
    let program = Program::new(reads_on);
    leave_nothing(rounds, || {
        let bare = program.prepare(0);
        bare.data(&memory, Rights::READ);
        bare.thread.start().unwrap();
        until(|| bare.thread.inspect().unwrap().state >= 2);
        let (process, address, bytes) = (bare.process.slot(), DATA, PAGE);
        // SAFETY: the memory is another process's.
        unsafe { unmap(&MemoryUnmap { process, address, bytes }) }.unwrap();
        let expected = faulted(FaultKind::PageRead, DATA, program.marked());
        assert_eq!(bare.process.wait(), Ok(expected));
    });
}

fn what_is_protected_is_written_no_more() {
    cpus::be_equal();
    let rounds = scaled(1_000);
    let memory = MemoryObject::create(PAGE).unwrap();
    do_map(mapping(&memory, PAGE)).unwrap();
    let program = Program::new(counts_on);
    leave_nothing(rounds, || {
        let bare = program.prepare(0);
        bare.data(&memory, Rights::READ | Rights::WRITE);
        let before = read(PLACE);
        bare.thread.start().unwrap();
        until(|| read(PLACE) != before);
        let (process, address, bytes) = (bare.process.slot(), DATA, PAGE);
        // SAFETY: the memory is another process's.
        unsafe { protect(&MemoryProtect { process, address, bytes, rights: Rights::READ }) }
            .unwrap();
        let after = read(PLACE);
        let expected = faulted(FaultKind::PageWrite, DATA, program.marked());
        assert_eq!(bare.process.wait(), Ok(expected));
        assert_eq!(read(PLACE), after);
    });
    do_unmap(PLACE, PAGE).unwrap();
}
