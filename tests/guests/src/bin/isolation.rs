//! Memory that is not a process's own: every access ends its thread, with the fault that it was.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

use alloc::boxed::Box;

use guests::{
    bare::{self, CODE, DATA, PAGE, Program, STACK, STACK_TOP, faulted},
    children, code, suite,
};
use orbital_user::{
    ExitReason, FaultKind, MemoryObject, Rights,
    abi::layout::{self, USER_END},
    start, thread,
};

suite! {
    cases: [
        kernel_memory_is_out_of_reach,
        nothing_is_where_nothing_was_mapped,
        addresses_that_are_none_are_refused,
        mappings_allow_what_they_say,
        an_access_over_the_end_of_a_mapping_faults_behind_it,
        a_stack_that_overflows_hits_its_guard_page,
        one_address_leads_to_each_process_s_own_memory,
        another_process_s_addresses_lead_nowhere,
        a_fault_leaves_the_other_threads_alone,
        a_fault_leaves_other_processes_alone,
    ],
    roles: [overflowing, half_faulty],
}

code! {
    reading: [] ["mov rax, [rdi]", "ud2"];
    writing: [] ["mov [rdi], rax", "ud2"];
    locked: [] ["lock add qword ptr [rdi], 1", "ud2"];
    jumping: [] ["jmp rdi", "ud2"];
    calling: [] ["call rdi", "ud2"];
    pushing: ["lea rsp, [rdi + 8]"] ["push rax", "ud2"];
    // Exits with 0 if it could read.
    reads_well: [] ["mov rax, [rdi]", "xor edi, edi", "mov eax, 33", "syscall"];
    writes_well: [] ["mov [rdi], rax", "xor edi, edi", "mov eax, 33", "syscall"];
    // Called, it comes back and exits with what `rax` then is.
    calls_well: [] ["call rdi", "mov rdi, rax", "mov eax, 33", "syscall"];
    // Finds its argument at DATA, writes the next number there, and so on for 100 turns.
    counts: [
        "mov rbx, rdi",
        "push 100",
        "2: push rbx",
        "mov eax, 16",
        "syscall",
        "pop rbx",
        "mov rcx, 0x500000",
        "cmp [rcx], rbx",
        "jne 3f",
        "inc rbx",
        "mov [rcx], rbx",
        "dec qword ptr [rsp]",
        "jnz 2b",
        "xor edi, edi",
        "mov eax, 33",
        "syscall",
    ] ["3: ud2"];
    spins_until_told: ["mov rcx, 0x500000", "2: pause", "cmp qword ptr [rcx], 0", "je 2b"]
        ["mov edi, 5", "mov eax, 33", "syscall"];
}

/// Each way to touch an address, and the fault that it is.
fn refuse_all(addresses: &[u64]) {
    use FaultKind::{PageExecute, PageRead, PageWrite};
    // QEMU's CPU may do the read of a locked access by itself first.
    let ways: [(bare::Code, &[FaultKind]); 3] =
        [(reading, &[PageRead]), (writing, &[PageWrite]), (locked, &[PageWrite, PageRead])];
    for (code, kinds) in ways {
        let program = Program::new(code);
        for &address in addresses {
            let expected = |kind: &FaultKind| faulted(*kind, address, program.marked());
            let reason = program.run(address);
            assert!(kinds.iter().map(expected).any(|e| e == reason), "{address:#x}: {reason}");
        }
    }
    for code in [jumping as _, calling as _] {
        let program = Program::new(code);
        for &address in addresses {
            let expected = faulted(PageExecute, address, address);
            assert_eq!(program.run(address), expected, "{address:#x}");
        }
    }
    let program = Program::new(pushing);
    for &address in addresses.iter().filter(|address| **address > PAGE) {
        let expected = faulted(PageWrite, address, program.marked());
        assert_eq!(program.run(address), expected, "{address:#x}");
    }
}

/// The kernel's image, its view of all memory, its heap and its devices: no reading, no writing, no
/// jump.
fn kernel_memory_is_out_of_reach() {
    refuse_all(&[
        // Text, and what comes behind it: constants and data.
        0xffff_ffff_8010_0000,
        0xffff_ffff_8011_0000,
        0xffff_ffff_8020_0000,
        0xffff_ffff_8030_0000,
        // The last page of all.
        0xffff_ffff_ffff_f000,
        0xffff_ffff_ffff_ff00,
        // All RAM: its first page, the kernel's image, somewhere, and behind its end.
        0xffff_8000_0000_0000,
        0xffff_8000_0010_0000,
        0xffff_8000_0700_0000,
        0xffff_bfff_ffff_f000,
        // Stacks, heap, interrupt controller.
        0xffff_ff00_0000_0000,
        0xffff_ff00_0000_1000,
        0xffff_ff00_0000_2000,
        0xffff_ff00_4000_2000,
    ]);
}

/// Page 0, gaps between mappings, the pages around the stack and the last page of user space are
/// empty.
fn nothing_is_where_nothing_was_mapped() {
    refuse_all(&[
        0,
        8,
        PAGE - 8,
        PAGE,
        CODE - 8,
        CODE + PAGE,
        STACK - 8,
        STACK_TOP,
        DATA,
        layout::STACK_TOP - 8,
        layout::BOOTSTRAP_ADDRESS,
        USER_END - 8,
        USER_END,
        USER_END + 0xff0,
    ]);
}

/// Non-canonical addresses: a general protection or stack fault, which have no address.
fn addresses_that_are_none_are_refused() {
    let addresses =
        [0x8000_0000_0000, 0xffff_7fff_ffff_fff0, 1 << 63, 1 << 62, 0xdead_beef_0000_0000];
    let kinds = [FaultKind::Protection, FaultKind::Stack];
    let ways: [bare::Code; 6] = [reading, writing, locked, jumping, calling, pushing];
    for code in ways {
        let program = Program::new(code);
        for address in addresses {
            let ExitReason::Faulted(fault) = program.run(address) else { panic!("{address:#x}") };
            assert!(kinds.contains(&fault.kind), "{address:#x}: {fault:?}");
            assert_eq!(fault.address, 0, "{address:#x}");
            // A jump may fault before or after it was taken.
            let places = [program.marked(), address];
            assert!(places.contains(&fault.instruction_pointer), "{address:#x}: {fault:x?}");
        }
    }
}

/// Runs `code` on a page at `DATA` that holds code and is mapped with `rights`.
fn on_page(code: bare::Code, rights: Rights) -> (ExitReason, u64) {
    let page = MemoryObject::create(PAGE).unwrap();
    // mov eax, 7; ret
    let bytes = b"\xb8\x07\0\0\0\xc3";
    page.map_write(PAGE).unwrap()[..bytes.len()].copy_from_slice(bytes);
    let program = Program::new(code);
    let bare = program.prepare(DATA);
    bare.data(&page, rights);
    (bare.run(), program.marked())
}

/// Pages for reading can't be written or executed, pages for writing not executed, code not written;
/// what they allow goes well.
fn mappings_allow_what_they_say() {
    use FaultKind::{PageExecute, PageWrite};
    let (read, write) = (Rights::READ, Rights::READ | Rights::WRITE);
    let execute = Rights::READ | Rights::EXECUTE;
    for rights in [read, write, execute] {
        assert_eq!(on_page(reads_well, rights).0, ExitReason::Exited(0), "{rights:?}");
    }
    assert_eq!(on_page(writes_well, write).0, ExitReason::Exited(0));
    assert_eq!(on_page(calls_well, execute).0, ExitReason::Exited(7));
    for rights in [read, execute] {
        let (reason, marked) = on_page(writing, rights);
        assert_eq!(reason, faulted(PageWrite, DATA, marked), "{rights:?}");
    }
    for rights in [read, write] {
        assert_eq!(on_page(jumping, rights).0, faulted(PageExecute, DATA, DATA), "{rights:?}");
    }
    // Its own text and its own stack.
    let program = Program::new(writing);
    assert_eq!(program.run(CODE), faulted(PageWrite, CODE, program.marked()));
    let program = Program::new(jumping);
    assert_eq!(program.run(STACK), faulted(PageExecute, STACK, STACK));
}

/// An access that begins in a page and ends behind it faults at the first byte that is not there.
fn an_access_over_the_end_of_a_mapping_faults_behind_it() {
    for (code, kind) in [(reading as _, FaultKind::PageRead), (writing as _, FaultKind::PageWrite)]
    {
        let program = Program::new(code);
        for over in 1..8 {
            let expected = faulted(kind, STACK_TOP, program.marked());
            assert_eq!(program.run(STACK_TOP - 8 + over), expected);
        }
    }
}

#[expect(unconditional_recursion, reason = "its stack shall overflow")]
#[inline(never)]
fn overflow(depth: u64) -> u64 {
    let mut local = [depth; 64];
    core::hint::black_box(&mut local);
    overflow(depth + 1) + local[0]
}

fn overflowing() {
    overflow(0);
}

/// A program that recurses for ever ends at the guard page below its stack.
fn a_stack_that_overflows_hits_its_guard_page() {
    let reason = children::start("overflowing", |s| s).wait().unwrap();
    let ExitReason::Faulted(fault) = reason else { panic!("{reason}") };
    assert_eq!(fault.kind, FaultKind::PageWrite);
    let bottom = layout::STACK_TOP - layout::STACK_SIZE;
    assert!((bottom - PAGE..bottom).contains(&fault.address), "{fault:x?}");
}

/// Two processes count up at the same address, in turns, from numbers of their own.
fn one_address_leads_to_each_process_s_own_memory() {
    let program = Program::new(counts);
    let starts = [1000, 2_000_000];
    let pages = starts.map(|start| {
        let page = MemoryObject::create(PAGE).unwrap();
        page.map_write(PAGE).unwrap()[..8].copy_from_slice(&u64::to_le_bytes(start));
        page
    });
    let processes = [0, 1].map(|index| {
        let bare = program.prepare(starts[index]);
        bare.data(&pages[index], Rights::READ | Rights::WRITE);
        bare
    });
    for bare in &processes {
        bare.thread.start().unwrap();
    }
    for bare in &processes {
        assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(0)));
    }
    for (page, start) in pages.iter().zip(starts) {
        assert_eq!(page.map_read(PAGE).unwrap()[..8], u64::to_le_bytes(start + 100));
    }
}

/// What one process has mapped another can't reach at that address.
fn another_process_s_addresses_lead_nowhere() {
    let page = MemoryObject::create(PAGE).unwrap();
    let owner = Program::new(spins_until_told).prepare(0);
    owner.data(&page, Rights::READ | Rights::WRITE);
    owner.thread.start().unwrap();
    // The suite's own: its text, its heap, what it has mapped.
    let mapped = page.map_write(PAGE).unwrap();
    let heap = Box::new(0u64);
    let own = [refuse_all as *const () as u64, &raw const *heap as u64, mapped.address(), DATA];
    let program = Program::new(reading);
    for address in own.into_iter().filter(|address| *address >= CODE + PAGE) {
        let expected = faulted(FaultKind::PageRead, address, program.marked());
        assert_eq!(program.run(address), expected);
    }
    let mut mapped = mapped;
    mapped[0] = 1;
    assert_eq!(owner.process.wait(), Ok(ExitReason::Exited(5)));
}

fn half_faulty() {
    let faulty = thread::spawn(|| {
        let nowhere = core::ptr::without_provenance::<u64>(0x7000);
        // SAFETY: not sound, on purpose: the machine refuses the read.
        unsafe { nowhere.read_volatile() }
    });
    let Err(ExitReason::Faulted(fault)) = faulty.unwrap().join() else { panic!("it went on") };
    assert_eq!((fault.kind, fault.address), (FaultKind::PageRead, 0x7000));
    assert_eq!(thread::spawn(|| 7).unwrap().join(), Ok(7));
    start::exit(42);
}

/// A thread that faults ends alone: the others of its process go on.
fn a_fault_leaves_the_other_threads_alone() {
    let child = children::start("half_faulty", |s| s);
    assert_eq!(child.wait(), Ok(ExitReason::Exited(42)));
}

/// A process that runs all the while is not touched by the faults of a hundred others.
fn a_fault_leaves_other_processes_alone() {
    let flag = MemoryObject::create(PAGE).unwrap();
    let mut mapped = flag.map_write(PAGE).unwrap();
    let witness = Program::new(spins_until_told).prepare(0);
    witness.data(&flag, Rights::READ);
    witness.thread.start().unwrap();
    let program = Program::new(writing);
    for round in 0..100 {
        let address = [0xffff_8000_0000_0000, 0, DATA, STACK_TOP][round % 4];
        let expected = faulted(FaultKind::PageWrite, address, program.marked());
        assert_eq!(program.run(address), expected);
    }
    mapped[0] = 1;
    assert_eq!(witness.process.wait(), Ok(ExitReason::Exited(5)));
}
