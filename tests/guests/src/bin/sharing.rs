//! Memory that two processes see, that was another's before, or that is taken away while someone
//! works on it.
#![cfg_attr(target_os = "none", no_std, no_main)]

use guests::{
    bare::{Bare, DATA, PAGE, Program, faulted, map_into},
    code,
    counters::leaves_nothing,
    mapped::{PLACE, READ_WRITE, do_map, do_unmap, mapping, read, write},
    places, suite,
};
use orbital_user::{
    CapSlot, Error, ExitReason, FaultKind, MemoryObject, Process, Rights,
    abi::arguments::MemoryUnmap,
    memory::{query, unmap},
    thread,
};

suite! {
    cases: [
        shared_memory_is_seen_by_both,
        a_share_for_reading_can_t_be_written,
        a_share_is_taken_away,
        memory_is_zero_when_it_comes,
        memory_of_a_dead_process_comes_back_zeroed,
        an_unmapped_page_is_gone_at_once,
        a_page_is_mapped_anew,
        a_process_killed_while_it_makes_memory_leaves_nothing,
        a_process_killed_while_it_maps_memory_leaves_nothing,
        a_process_that_ends_while_others_map_into_it_leaves_nothing,
        two_threads_unmap_the_same_range,
    ],
    roles: [],
}

code! {
    // Adds one to the word at DATA, as often as the argument says, with a yield each time.
    adds: [
        "mov ebx, 0x500000", "push rdi",
        "2: push rbx", "mov eax, 16", "syscall", "pop rbx",
        "lock inc qword ptr [rbx]",
        "dec qword ptr [rsp]", "jnz 2b",
        "xor edi, edi", "mov eax, 33", "syscall",
    ] ["ud2"];
    // Exits with the word at DATA.
    reads: [] ["mov rdi, [0x500000]", "mov eax, 33", "syscall"];
    writes: ["mov ebx, 0x500000"] ["mov [rbx], rdi", "xor edi, edi", "mov eax, 33", "syscall"];
    // Reads DATA until it faults.
    reads_on: ["mov ebx, 0x500000", "2:"] ["mov rax, [rbx]", "jmp 2b"];
    // Fills 16 pages of its own with its argument: makes, maps, writes, exits.
    dirties: [
        "mov rbp, rdi", "push rdi",
        "mov edi, 0x10000", "mov eax, 80", "syscall",
        "mov rsi, rdi", "xor edi, edi", "mov edx, 0x500000", "xor r8d, r8d",
        "mov r9d, 0x10000", "mov r10d, 3", "mov eax, 81", "syscall",
        "pop rax", "mov edi, 0x500000", "mov ecx, 0x2000", "rep stosq",
        "xor edi, edi", "mov eax, 33", "syscall",
    ] ["ud2"];
    // Makes 8 MiB and closes them, for ever.
    makes_large: [
        "2: mov edi, 0x800000", "mov eax, 80", "syscall",
        "test rax, rax", "jnz 3f",
        "mov eax, 49", "syscall", "jmp 2b",
    ] ["3: ud2"];
    // Maps 8 MiB of its argument and unmaps them, for ever.
    maps_large: [
        "push rdi",
        "2: xor edi, edi", "mov rsi, [rsp]", "mov edx, 0x40000000", "xor r8d, r8d",
        "mov r9d, 0x800000", "mov r10d, 3", "mov eax, 81", "syscall",
        "test rax, rax", "jnz 3f",
        "xor edi, edi", "mov esi, 0x40000000", "mov edx, 0x800000", "mov eax, 82", "syscall",
        "test rax, rax", "jz 2b",
    ] ["3: ud2"];
}

const LARGE: u64 = 8 << 20;

fn page() -> MemoryObject {
    MemoryObject::create(PAGE).unwrap()
}

/// Lets threads of priority 128 have `turns` turns.
fn let_others_run(turns: u64) {
    let wait = move || (0..turns).for_each(|_| thread::yield_now());
    thread::spawn(wait).unwrap().join().unwrap();
}

/// Two processes and this one add to one word, each at another address; none is lost.
fn shared_memory_is_seen_by_both() {
    let shared = page();
    do_map(mapping(&shared, PAGE)).unwrap();
    write(PLACE, 1000);
    let program = Program::new(adds);
    let both = [30, 40].map(|count| {
        let bare = program.prepare(count);
        bare.data(&shared, READ_WRITE);
        bare.thread.start().unwrap();
        bare
    });
    let_others_run(5);
    let between = read(PLACE);
    assert!((1001..1070).contains(&between), "{between}");
    write(PLACE + 8, 5);
    for Bare { process, .. } in both {
        assert_eq!(process.wait(), Ok(ExitReason::Exited(0)));
    }
    assert_eq!((read(PLACE), read(PLACE + 8)), (1070, 5));
    do_unmap(PLACE, PAGE).unwrap();
}

/// Who has a page for reading sees what others write, and can't write.
fn a_share_for_reading_can_t_be_written() {
    let shared = page();
    do_map(mapping(&shared, PAGE)).unwrap();
    write(PLACE, 77);
    let reader = Program::new(reads).prepare(0);
    reader.data(&shared, Rights::READ);
    assert_eq!(reader.run(), ExitReason::Exited(77));
    let program = Program::new(writes);
    let writer = program.prepare(5);
    writer.data(&shared, Rights::READ);
    assert_eq!(writer.run(), faulted(FaultKind::PageWrite, DATA, program.marked()));
    assert_eq!(read(PLACE), 77);
    do_unmap(PLACE, PAGE).unwrap();
}

/// A page that is unmapped from another process while that reads it is gone at its next access.
fn a_share_is_taken_away() {
    let shared = page();
    let program = Program::new(reads_on);
    let bare = program.prepare(0);
    bare.data(&shared, Rights::READ);
    bare.thread.start().unwrap();
    let_others_run(3);
    assert_eq!(bare.process.try_wait(), Err(Error::WouldBlock));
    let range = MemoryUnmap { process: bare.process.slot(), address: DATA, bytes: PAGE };
    // SAFETY: the page is another process's.
    unsafe { unmap(&range) }.unwrap();
    let fault = faulted(FaultKind::PageRead, DATA, program.marked());
    assert_eq!(bare.process.wait(), Ok(fault));
}

#[track_caller]
fn assert_zero(pages: u64) {
    let memory = MemoryObject::create(pages * PAGE).unwrap();
    do_map(mapping(&memory, pages * PAGE)).unwrap();
    for address in (PLACE..PLACE + pages * PAGE).step_by(8) {
        assert_eq!(read(address), 0, "{:#x} bytes in", address - PLACE);
        write(address, !address);
    }
    do_unmap(PLACE, pages * PAGE).unwrap();
}

/// Every word of new memory is zero, though its frames were full of others just before.
fn memory_is_zero_when_it_comes() {
    for pages in [1, 7, 64, 512, 64, 7, 1] {
        assert_zero(pages);
    }
}

/// Frames that a dead process had filled come back zeroed: in objects, and as page tables.
fn memory_of_a_dead_process_comes_back_zeroed() {
    let program = Program::new(dirties);
    for _ in 0..5 {
        let dirty = program.prepare_with(u64::MAX, 64, 32 * 1024);
        assert_eq!(dirty.run(), ExitReason::Exited(0));
        drop(dirty);
        assert_zero(64);
    }
}

/// After the unmapping an access faults, in the process itself, however often the page was used.
fn an_unmapped_page_is_gone_at_once() {
    for kind in [FaultKind::PageRead, FaultKind::PageWrite] {
        let memory = page();
        do_map(mapping(&memory, PAGE)).unwrap();
        write(PLACE, 1);
        let touching = thread::spawn(move || {
            assert_eq!(read(PLACE), 1);
            write(PLACE, 2);
            do_unmap(PLACE, PAGE).unwrap();
            match kind {
                FaultKind::PageRead => assert_eq!(read(PLACE), 3),
                _ => write(PLACE, 3),
            }
        });
        let Err(ExitReason::Faulted(fault)) = touching.unwrap().join() else { panic!("{kind}") };
        assert_eq!((fault.kind, fault.address), (kind, PLACE));
    }
}

/// The same address leads to another object, with other rights, as soon as it is mapped there.
fn a_page_is_mapped_anew() {
    let (first, second) = (page(), page());
    for round in 0..50 {
        do_map(mapping(&first, PAGE)).unwrap();
        assert_eq!(read(PLACE), round);
        write(PLACE, round + 1);
        do_unmap(PLACE, PAGE).unwrap();
        do_map(mapping(&second, PAGE)).unwrap();
        assert_eq!(read(PLACE), round * 3);
        write(PLACE, (round + 1) * 3);
        do_unmap(PLACE, PAGE).unwrap();
    }
}

/// Runs a process of `program` for so many slices, then kills it.
fn cut_off(bare: Bare, turns: u64) {
    bare.thread.start().unwrap();
    let_others_run(turns);
    assert_eq!(bare.process.kill(), Ok(()), "it ended by itself: {:?}", bare.process.wait());
    assert_eq!(bare.process.wait(), Ok(ExitReason::Killed));
}

/// A process that makes 8 MiB objects is killed after each number of slices, wherever in its work that is.
fn a_process_killed_while_it_makes_memory_leaves_nothing() {
    places::pave(8 << 20);
    let program = Program::new(makes_large);
    let mut turns = 0;
    leaves_nothing(20, || {
        cut_off(program.prepare_with(0, LARGE / PAGE + 16, 64 * 1024), turns);
        turns += 1;
    });
}

/// The same for one that maps and unmaps them.
fn a_process_killed_while_it_maps_memory_leaves_nothing() {
    places::pave(16 << 20);
    let memory = MemoryObject::create(LARGE).unwrap();
    let program = Program::new(maps_large);
    let mut turns = 0;
    leaves_nothing(60, || {
        let bare = program.prepare_with(0, 64, 32 * 1024);
        let slot = bare.give(memory.slot(), READ_WRITE);
        let thread = program.thread(&bare.process, guests::bare::STACK_TOP, slot.bits(), 128);
        cut_off(Bare { thread, process: bare.process }, turns);
        turns += 1;
    });
    // The object is whole.
    do_map(mapping(&memory, LARGE)).unwrap();
    assert_eq!(read(PLACE + LARGE - 8), 0);
    do_unmap(PLACE, LARGE).unwrap();
}

/// A process is killed while this one maps memory into it or unmaps it again: that work ends with
/// an error or well, and nothing is left in the tables of anyone.
fn a_process_that_ends_while_others_map_into_it_leaves_nothing() {
    places::pave(32 << 20);
    let memory = MemoryObject::create(LARGE).unwrap();
    let mut turns = 0;
    leaves_nothing(40, || {
        let victim = Process::create("victim", 64, 32 * 1024).unwrap();
        let (process, slot) = (victim.slot(), memory.slot());
        let working = thread::spawn(move || {
            let memory = core::mem::ManuallyDrop::new(MemoryObject::from_slot(slot));
            let victim = core::mem::ManuallyDrop::new(Process::from_slot(process));
            loop {
                map_into(&victim, &memory, PLACE, LARGE, READ_WRITE)?;
                // SAFETY: the memory is another process's.
                unsafe { unmap(&MemoryUnmap { process, address: PLACE, bytes: LARGE }) }?;
            }
        });
        let_others_run(turns);
        turns += 1;
        victim.kill().unwrap();
        assert_eq!(working.unwrap().join(), Ok(Err::<(), _>(Error::Ended)));
        assert_eq!(victim.wait(), Ok(ExitReason::Killed));
    });
}

/// Two threads unmap the same range at once: each comes back when all of it is gone.
fn two_threads_unmap_the_same_range() {
    let memory = MemoryObject::create(LARGE).unwrap();
    for _ in 0..20 {
        do_map(mapping(&memory, LARGE)).unwrap();
        (PLACE..PLACE + LARGE).step_by(1 << 16).for_each(|page| write(page, 1));
        let unmaps = || {
            do_unmap(PLACE, LARGE)?;
            query(CapSlot::NULL, PLACE).map(|found| found.address)
        };
        let threads = [0, 1].map(|_| thread::spawn(unmaps).unwrap());
        for thread in threads {
            let next = thread.join().unwrap();
            assert!(next.is_ok_and(|next| next >= PLACE + LARGE) || next.is_err());
        }
    }
}
