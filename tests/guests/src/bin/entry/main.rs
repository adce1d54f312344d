//! The way into the kernel and back: stacks, flags, segments and return addresses that a program
//! can make up do the kernel no harm and are as the ABI says afterwards.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use guests::{
    bare::{Bare, CODE, Code, DATA, PAGE, Program, faulted},
    code, suite,
};
use orbital_user::{
    ExitReason, FaultKind, MemoryObject, Rights,
    abi::{Error, Syscall, layout::USER_END},
    thread,
};

mod edges;

use edges::*;

suite! {
    cases: [
        a_system_call_keeps_any_stack_pointer,
        an_interrupt_keeps_any_stack_pointer,
        a_fault_needs_no_stack,
        a_system_call_at_the_end_of_user_space_is_no_harm,
        a_system_call_keeps_the_flags,
        an_interrupt_keeps_the_flags,
        a_system_call_leaves_no_other_register,
        a_failed_system_call_leaves_nothing_but_its_code,
        rcx_and_r11_hold_the_return_address_and_the_flags,
        unknown_numbers_are_told,
        segments_of_any_kind_are_no_harm,
        segment_bases_are_a_thread_s_own,
        selectors_are_a_thread_s_own,
        threads_start_with_nothing_in_their_registers,
        every_bit_of_the_flags_is_the_program_s_or_refused,
        jumps_to_any_address_are_faults,
        every_selector_is_loaded_or_refused,
        steps_and_breakpoints_meet_the_entry,
        floating_point_controls_of_any_kind_are_no_harm,
    ],
    roles: [],
}

/// Stack pointers that lead nowhere.
const STACKS: [u64; 12] = [
    0,
    1,
    8,
    CODE,
    DATA + 3,
    USER_END,
    0x7fff_ffff_ffff,
    0x8000_0000_0000,
    0xffff_7fff_ffff_ffff,
    0xffff_8000_0000_0000,
    0xffff_ffff_8010_0000,
    u64::MAX,
];

code! {
    // System calls that succeed, fail, block and are unknown, on the stack that is the argument.
    calls_on_stack: [
        "mov rsp, rdi",
        "mov eax, 0", "syscall",
        "mov eax, 16", "syscall",
        "mov eax, 999", "syscall",
        "mov edi, 0x1000", "mov eax, 80", "syscall",
        "mov eax, 49", "syscall",
        "mov rdi, rsp", "mov eax, 33", "syscall",
    ] ["ud2"];
    // Spins until told, then exits with its stack pointer.
    spins_on_stack: [
        "mov rsp, rdi", "mov ebx, 0x500000",
        "2: cmp qword ptr [rbx], 0", "je 2b",
        "mov rdi, rsp", "mov eax, 33", "syscall",
    ] ["ud2"];
    faults_on_stack: ["mov rsp, rdi"] ["ud2"];
    breaks_on_stack: ["mov rsp, rdi"] ["int3"];
    steps_on_stack: ["push 0x102", "popfq"] ["mov rsp, rdi", "ud2"];
}

/// The kernel never touches the stack of a program: a system call works with any, and keeps it.
fn a_system_call_keeps_any_stack_pointer() {
    let program = Program::new(calls_on_stack);
    for stack in STACKS {
        assert_eq!(program.run(stack), ExitReason::Exited(stack), "{stack:#x}");
    }
}

/// Two processes of `program`, one for each argument, take turns by the timer until 20 ms are over.
fn spin(program: &Program, arguments: [u64; 2]) -> [ExitReason; 2] {
    let flag = MemoryObject::create(PAGE).unwrap();
    let mut mapped = flag.map_write(PAGE).unwrap();
    let bares: [Bare; 2] = arguments.map(|argument| {
        let bare = program.prepare(argument);
        bare.data(&flag, Rights::READ);
        bare.thread.start().unwrap();
        bare
    });
    // It takes turns with them, each of which is a slice.
    let waiter = thread::spawn(|| {
        for _ in 0..10 {
            thread::yield_now();
        }
    });
    waiter.unwrap().join().unwrap();
    mapped[0] = 1;
    bares.map(|bare| bare.process.wait().unwrap())
}

/// The timer interrupts programs with any stack pointer, and keeps it.
fn an_interrupt_keeps_any_stack_pointer() {
    let program = Program::new(spins_on_stack);
    for pair in STACKS.chunks_exact(2) {
        let expected = [ExitReason::Exited(pair[0]), ExitReason::Exited(pair[1])];
        assert_eq!(spin(&program, [pair[0], pair[1]]), expected);
    }
}

/// Faults are taken without the program's stack.
fn a_fault_needs_no_stack() {
    let kinds = [
        (faults_on_stack as Code, FaultKind::InvalidOpcode, 0),
        (breaks_on_stack, FaultKind::Breakpoint, 1),
        (steps_on_stack, FaultKind::Debug, 3),
    ];
    for (code, kind, behind) in kinds {
        let program = Program::new(code);
        for stack in STACKS {
            assert_eq!(program.run(stack), faulted(kind, 0, program.marked() + behind));
        }
    }
}

code! {
    calls_at_the_end: [] ["mov eax, edi", "syscall"];
}

/// The last instruction of user space is a system call: whatever it was, it returns to the empty page
/// behind, and no kernel ever to a non-canonical address.
fn a_system_call_at_the_end_of_user_space_is_no_harm() {
    let program = Program::ending_at(calls_at_the_end, USER_END);
    for number in [0, 16, 49, 999, u64::from(u32::MAX)] {
        let expected = faulted(FaultKind::PageExecute, USER_END, USER_END);
        assert_eq!(program.run(number), expected, "{number}");
    }
}

/// CF PF AF ZF SF, DF, OF, NT, AC, ID; and the bit that is always one and IF.
const FLAGS: [u64; 11] =
    [0x1, 0x4, 0x10, 0x40, 0x80, 0x400, 0x800, 0x4000, 0x4_0000, 0x20_0000, 0x24_4cd5];
const ALWAYS: u64 = 0x202;

code! {
    // Exits with the flags that it has after a call (a yield, and one that fails) with its argument as flags.
    calls_with_flags: [
        "push rdi", "popfq",
        "mov eax, 16", "syscall",
        "mov eax, 999", "syscall",
        "pushfq", "pop rdi",
        // Clear them again, as all code wants them.
        "push 2", "popfq",
        "mov eax, 33", "syscall",
    ] ["ud2"];
    // The same after it was interrupted; `loop` changes no flags.
    spins_with_flags: [
        "push rdi", "popfq",
        "mov ebx, 0x500000",
        "2: mov rcx, [rbx]", "jrcxz 2b",
        "pushfq", "pop rdi", "push 2", "popfq",
        "mov eax, 33", "syscall",
    ] ["ud2"];
}

/// Every flag that a program can set comes back from a system call as it was.
fn a_system_call_keeps_the_flags() {
    let program = Program::new(calls_with_flags);
    for flags in FLAGS {
        assert_eq!(program.run(flags), ExitReason::Exited(flags | ALWAYS), "{flags:#x}");
    }
}

/// The same for the timer.
fn an_interrupt_keeps_the_flags() {
    let program = Program::new(spins_with_flags);
    for flags in FLAGS {
        let [kept, plain] = spin(&program, [flags, 0]);
        assert_eq!(kept, ExitReason::Exited(flags | ALWAYS), "{flags:#x}");
        assert_eq!(plain, ExitReason::Exited(ALWAYS));
    }
}

code! {
    // Fills every register, makes the call that is the argument, and exits with all results or-ed.
    fills_and_calls: [
        "mov eax, edi",
        "mov rdi, 0x5555555555555555", "mov rsi, rdi", "mov rdx, rdi", "mov r8, rdi",
        "mov r9, rdi", "mov r10, rdi", "mov r12, rdi", "mov r13, rdi", "mov r14, rdi",
        "mov r15, rdi", "mov rbx, rdi", "mov rbp, rdi", "mov rcx, rdi", "mov r11, rdi",
        "syscall",
        "or rdi, rsi", "or rdi, rdx", "or rdi, r8", "or rdi, r9", "or rdi, r10", "or rdi, r12",
        "or rdi, r13", "or rdi, r14", "or rdi, r15", "or rdi, rbx", "or rdi, rbp",
        // The code in the upper half.
        "shl rax, 32", "or rdi, rax",
        "mov eax, 33", "syscall",
    ] ["ud2"];
}

/// A call without results leaves zero in every register.
fn a_system_call_leaves_no_other_register() {
    let program = Program::new(fills_and_calls);
    for number in [0, 16] {
        assert_eq!(program.run(number), ExitReason::Exited(0), "{number}");
    }
}

/// A call that fails leaves its code, and zero everywhere else.
fn a_failed_system_call_leaves_nothing_but_its_code() {
    let program = Program::new(fills_and_calls);
    let errors = [
        (6, Error::UnknownSyscall),
        (1, Error::InvalidMessage),
        (2, Error::InvalidMessage),
        (4, Error::InvalidMessage),
        (18, Error::InvalidArgument),
        (19, Error::EmptySlot),
        (20, Error::EmptySlot),
        (32, Error::QuotaExceeded),
        (34, Error::EmptySlot),
        (48, Error::InvalidArgument),
        (49, Error::EmptySlot),
        (50, Error::EmptySlot),
        (80, Error::InvalidArgument),
        (81, Error::InvalidArgument),
        (82, Error::EmptySlot),
        (96, Error::InvalidArgument),
        (97, Error::EmptySlot),
        (98, Error::EmptySlot),
    ];
    for (number, error) in errors {
        assert_eq!(program.run(number), ExitReason::Exited(error.code() << 32), "{number}");
    }
}

code! {
    returns_address: ["mov eax, 999", "syscall"] ["mov rdi, rcx", "mov eax, 33", "syscall"];
    returns_flags: ["push 0x8d7", "popfq", "xor edi, edi", "stc", "syscall"]
        ["mov rdi, r11", "mov eax, 33", "syscall"];
}

/// What the instruction itself leaves in `rcx` and `r11` is the program's own.
fn rcx_and_r11_hold_the_return_address_and_the_flags() {
    let program = Program::new(returns_address);
    assert_eq!(program.run(0), ExitReason::Exited(program.marked()));
    // ZF and PF of the `xor`, CF of the `stc`, and what is always set.
    let reason = Program::new(returns_flags).run(0);
    assert_eq!(reason, ExitReason::Exited(0x247));
}

code! {
    calls_number: ["mov rax, rdi", "syscall", "mov rdi, rax", "mov eax, 33", "syscall"] ["ud2"];
}

/// Numbers without a system call, up to the largest, answer so; the upper half counts too.
fn unknown_numbers_are_told() {
    let program = Program::new(calls_number);
    let unknown = ExitReason::Exited(Error::UnknownSyscall.code());
    for number in (0..=256).filter(|number| Syscall::from_number(*number).is_none()) {
        assert_eq!(program.run(number), unknown, "{number}");
    }
    for number in [1 << 32, 1 << 32 | 33, 1 << 63, 1 << 63 | 97, u64::MAX] {
        assert_eq!(program.run(number), unknown, "{number:#x}");
    }
}

code! {
    // Null and user selectors in every segment register, then calls, until told.
    loads_segments: [
        "mov ebx, 0x500000",
        "2:",
        "xor eax, eax", "mov ds, eax", "mov es, eax", "mov fs, eax", "mov gs, eax",
        "mov eax, 0x1b", "mov ds, eax", "mov es, eax", "mov fs, eax", "mov gs, eax", "mov ss, eax",
        "mov eax, 3", "mov ds, eax", "mov es, eax", "mov fs, eax", "mov gs, eax",
        "mov eax, 0x23", "mov ds, eax", "mov gs, eax",
        "push rbx", "xor eax, eax", "syscall", "pop rbx",
        "cmp qword ptr [rbx], 0", "je 2b",
        "xor edi, edi", "mov eax, 33", "syscall",
    ] ["ud2"];
}

/// A program may load the null selector and its own segments, whatever that does to its bases: calls
/// and interrupts go on.
fn segments_of_any_kind_are_no_harm() {
    let program = Program::new(loads_segments);
    assert_eq!(spin(&program, [0, 0]), [ExitReason::Exited(0); 2]);
}

code! {
    // Sets both bases, if it can, and spins, with calls and interrupts; exits with 0 if they are
    // still there.
    sets_bases: ["mov ebx, 0x500000"] [
        "wrfsbase rdi", "wrgsbase rdi", "push rdi",
        "2:",
        "push rbx", "xor eax, eax", "syscall", "pop rbx",
        "cmp qword ptr [rbx], 0", "je 2b",
        "pop rsi", "rdfsbase rdi", "rdgsbase rax", "xor rdi, rsi", "xor rax, rsi", "or rdi, rax",
        "mov eax, 33", "syscall",
    ];
    // Exits with what it finds in its bases.
    reads_bases: [] [
        "rdfsbase rdi", "rdgsbase rax", "or rdi, rax", "mov eax, 33", "syscall",
    ];
}

/// Bases of FS and GS are a thread's own, whatever they are, where programs can set them at all: it
/// keeps them, and no other finds them.
fn segment_bases_are_a_thread_s_own() {
    let setter = Program::new(sets_bases);
    let reader = Program::new(reads_bases);
    let refused = |program: &Program| faulted(FaultKind::InvalidOpcode, 0, program.marked());
    for base in [DATA, 0xffff_8000_0000_0000, u64::MAX] {
        for reason in spin(&setter, [base, 8]) {
            assert!([ExitReason::Exited(0), refused(&setter)].contains(&reason), "{reason}");
        }
        let found = reader.run(0);
        assert!([ExitReason::Exited(0), refused(&reader)].contains(&found), "{found}");
    }
}

code! {
    reads_selectors: [
        "mov edi, ds", "mov eax, es", "or edi, eax", "mov eax, fs", "or edi, eax",
        "mov eax, gs", "or edi, eax", "mov eax, 33", "syscall",
    ] ["ud2"];
    keeps_selectors: [
        "mov ebx, 0x500000",
        "mov eax, 0x1b", "mov ds, eax", "mov es, eax", "mov fs, eax", "mov gs, eax",
        "2: cmp qword ptr [rbx], 0", "je 2b",
        "mov eax, 16", "syscall",
        "mov edi, ds", "mov eax, es", "and edi, eax", "mov eax, fs", "and edi, eax",
        "mov eax, gs", "and edi, eax", "mov eax, 33", "syscall",
    ] ["ud2"];
}

/// So are the selectors.
fn selectors_are_a_thread_s_own() {
    let keeper = Program::new(keeps_selectors);
    for _ in 0..3 {
        assert_eq!(spin(&keeper, [0, 0]), [ExitReason::Exited(0x1b); 2]);
        assert_eq!(Program::new(reads_selectors).run(0), ExitReason::Exited(0));
    }
}

code! {
    ors_all: [
        "or rdi, rax", "or rdi, rbx", "or rdi, rcx", "or rdi, rdx", "or rdi, rsi", "or rdi, rbp",
        "or rdi, r8", "or rdi, r9", "or rdi, r10", "or rdi, r11", "or rdi, r12", "or rdi, r13",
        "or rdi, r14", "or rdi, r15",
        "mov eax, 33", "syscall",
    ] ["ud2"];
    flags_at_start: ["pushfq", "pop rdi", "mov eax, 33", "syscall"] ["ud2"];
}

/// A new thread has its argument, its stack, plain flags and zeros.
fn threads_start_with_nothing_in_their_registers() {
    assert_eq!(Program::new(ors_all).run(0), ExitReason::Exited(0));
    assert_eq!(Program::new(ors_all).run(u64::MAX), ExitReason::Exited(u64::MAX));
    assert_eq!(Program::new(flags_at_start).run(0), ExitReason::Exited(ALWAYS));
}
