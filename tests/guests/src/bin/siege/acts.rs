//! What a program can do on its way into the kernel and out: each act is a process of a few
//! instructions, which ends in a way that is known, or in one of few.
#![forbid(unsafe_code)]

use guests::{
    bare::{CODE, Code, DATA, Program, STACK},
    code, named,
    random::Random,
};
use orbital_user::{ExitReason, FaultKind, abi::layout::USER_END, clock};

/// The bits of the flags that a program can set, but for the one that steps.
pub const SETTABLE: u64 = 0x24_4cd5;
/// The bits that are always set while a program runs.
pub const ALWAYS: u64 = 0x202;

code! {
    // Exits with the flags after a call.
    flags: [
        "push rdi", "popfq", "mov eax, 999", "syscall",
        "pushfq", "pop rdi", "push 2", "popfq", "mov eax, 33", "syscall",
    ] ["ud2"];
    // Exits with the stack pointer after calls.
    stack: [
        "mov rsp, rdi", "mov eax, 16", "syscall", "mov eax, 999", "syscall",
        "mov rdi, rsp", "mov eax, 33", "syscall",
    ] ["ud2"];
    // The same, ended by a fault of each way in.
    stack_undefined: ["mov rsp, rdi"] ["ud2"];
    stack_breakpoint: ["mov rsp, rdi"] ["int3"];
    stack_overflow: ["mov rsp, rdi"] ["int 4"];
    stack_push: ["mov rsp, rdi"] ["push rax", "ud2"];
    goes: [] ["jmp rdi"];
    calls: [] ["call rdi"];
    returns: ["push rdi"] ["ret"];
    // The low half is code segment and flags, the high half where to.
    returns_from_interrupt: [
        "mov eax, edi", "and eax, 0xffff", "mov ecx, edi", "shr ecx, 16", "sar rdi, 32",
        "push 0x1b", "push rsp", "push rcx", "push rax", "push rdi",
    ] ["iretq"];
    returns_far: ["mov eax, edi", "sar rdi, 32", "push rax", "push rdi"] ["retfq"];
    jumps_far: ["push rdi", "shr rdi, 32", "push rdi"] ["jmp fword ptr [rsp + 4]"];
    segments: [
        "mov ds, edi", "mov es, edi", "mov fs, edi", "mov gs, edi",
        "mov eax, 999", "syscall", "int 4",
    ] ["ud2"];
    stack_segment: ["mov ss, edi", "mov eax, 999", "syscall"] ["ud2"];
    bases: ["wrgsbase rdi", "wrfsbase rdi", "mov eax, 999", "syscall"] ["int3"];
    base_and_step: ["wrgsbase rdi", "push 0x102", "popfq"] ["syscall", "ud2"];
    base_and_stack: ["wrgsbase rdi", "mov rsp, rdi"] ["ud2"];
    step: ["push 0x102", "popfq"] ["nop", "ud2"];
    step_call: ["mov eax, 999", "push 0x102", "popfq"] ["syscall", "ud2"];
    step_breakpoint: ["push 0x102", "popfq"] ["int3", "ud2"];
    step_into_nowhere: ["push 0x102", "popfq"] ["jmp rdi"];
    // What is due after a load of SS comes one instruction later: in the kernel (CVE-2018-8897).
    shadow_call: ["mov edx, 0x1b", "mov eax, 999", "push 0x102", "popfq"] ["mov ss, edx", "syscall", "ud2"];
    shadow_breakpoint: ["mov edx, 0x1b", "push 0x102", "popfq"] ["mov ss, edx", "int3", "ud2"];
    shadow_overflow: ["mov edx, 0x1b", "push 0x102", "popfq"] ["mov ss, edx", "int 4", "ud2"];
    shadow_step: ["mov edx, 0x1b"] ["mov ss, edx", ".byte 0xf1", "ud2"];
    step_by_number: [] [".byte 0xf1"];
    // Errors that are due meet a call first.
    pending_x87: [
        "push 0x340", "fldcw [rsp]", "fld1", "fldz", "fdivp",
        "mov eax, 16", "syscall", "mov eax, 999", "syscall",
    ] ["fwait", "ud2"];
    control_sse: ["push rdi", "ldmxcsr [rsp]", "mov eax, 16", "syscall"] ["ud2"];
    control_x87: ["push rdi", "fldcw [rsp]", "mov eax, 16", "syscall"] ["ud2"];
    divides: ["xor ecx, ecx", "mov eax, edi"] ["div ecx"];
    reads: [] ["mov rax, [rdi]", "ud2"];
    writes: [] ["mov [rdi], rax", "ud2"];
    enters: [] ["sysenter"];
    exits: [] ["sysexitq"];
    swaps: [] ["swapgs"];
    halts: [] ["hlt"];
    disables: [] ["cli"];
    sets_state: ["xor ecx, ecx", "mov eax, 3", "xor edx, edx"] ["xsetbv"];
    sets_register: ["mov ecx, 0xc0000101", "mov eax, edi"] ["wrmsr"];
    sets_key: ["xor eax, eax", "xor ecx, ecx", "xor edx, edx"] [".byte 0x0f, 0x01, 0xef"];
    ends_machine: ["mov al, 0x12"] ["out 0xf4, al"];
    breaks: [] ["int3"];
    floats: ["fld1", "movq xmm3, rdi"] ["ud2"];
}

/// What a program does, and how it may end.
#[derive(Clone, Copy)]
enum Kind {
    /// By a fault of one of these.
    Faults(&'static [FaultKind]),
    /// By exiting with its argument.
    KeepsArgument,
    /// By exiting with the flags that its argument could set.
    KeepsFlags,
}

use FaultKind::{
    Alignment, Breakpoint, Debug, Divide, FloatingPoint, InvalidOpcode, Other, PageExecute,
    PageRead, PageWrite, Protection, Stack,
};
use Kind::{Faults, KeepsArgument, KeepsFlags};

/// An address that leads nowhere good, or a number that a register has no use for.
fn address(random: &mut Random) -> u64 {
    let edges = [
        0,
        CODE,
        STACK,
        DATA,
        USER_END - 1,
        USER_END,
        USER_END + 0xfff,
        1 << 47,
        0xffff_7fff_ffff_ffff,
        0xffff_8000_0000_0000,
        0xffff_ffff_8010_0000,
        u64::MAX,
    ];
    match random.below(3) {
        0 => random.bits(),
        1 => random.pick(&edges),
        _ => random.pick(&edges).wrapping_add(random.below(64)).wrapping_sub(32),
    }
}

/// The same, where nothing can be mapped, executed or read.
fn nowhere(random: &mut Random) -> u64 {
    address(random) | 1 << 47
}

/// Null, user and kernel selectors, with any level, and some of a local table.
fn selector(random: &mut Random) -> u64 {
    match random.below(3) {
        0 => random.below(0x10000),
        _ => random.below(0x40),
    }
}

fn settable(random: &mut Random) -> u64 {
    // Some that no program can set are among them; the one that steps is not.
    random.bits() & !0x100
}

fn target(random: &mut Random) -> u64 {
    nowhere(random) << 32 | (settable(random) & 0xffff) << 16 | selector(random)
}

struct Act {
    name: &'static str,
    program: Program,
    argument: fn(&mut Random) -> u64,
    kind: Kind,
}

/// All acts, ready to be done.
pub struct Acts(alloc::vec::Vec<Act>);

impl Acts {
    pub fn new() -> Self {
        let mut acts = alloc::vec::Vec::new();
        let mut add = |codes: &[(&'static str, Code)], argument, kind| {
            acts.extend(codes.iter().map(|(name, code)| {
                let program = Program::new(*code);
                Act { name, program, argument, kind }
            }));
        };
        add(named![flags], settable, KeepsFlags);
        add(named![stack], address, KeepsArgument);
        add(named![stack_undefined], address, Faults(&[InvalidOpcode]));
        add(named![stack_breakpoint, breaks], address, Faults(&[Breakpoint]));
        add(named![stack_overflow], address, Faults(&[Other]));
        add(named![stack_push], nowhere, Faults(&[PageWrite, Stack, Protection]));
        add(named![goes, calls, returns], nowhere, Faults(&[PageExecute, Protection]));
        let anything =
            Faults(&[PageExecute, PageRead, Protection, Stack, InvalidOpcode, Alignment]);
        add(named![returns_from_interrupt, returns_far, jumps_far], target, anything);
        add(named![segments], selector, Faults(&[Protection, Other]));
        add(named![stack_segment], selector, Faults(&[Protection, Stack, InvalidOpcode]));
        add(named![bases], address, Faults(&[Breakpoint, InvalidOpcode, Protection]));
        add(named![base_and_step], address, Faults(&[Debug, InvalidOpcode, Protection]));
        add(named![base_and_stack], address, Faults(&[InvalidOpcode, Protection]));
        add(named![step, step_call], address, Faults(&[Debug]));
        add(named![step_breakpoint], address, Faults(&[Debug, Breakpoint]));
        add(named![step_into_nowhere], nowhere, Faults(&[Debug, Protection, PageExecute]));
        let stepped = Faults(&[Debug, Breakpoint, Other, InvalidOpcode]);
        let shadows = named![shadow_call, shadow_breakpoint, shadow_overflow, shadow_step];
        add(shadows, address, stepped);
        add(named![step_by_number], address, Faults(&[Debug, InvalidOpcode]));
        add(named![pending_x87], address, Faults(&[FloatingPoint]));
        let controls = Faults(&[InvalidOpcode, Protection, FloatingPoint]);
        add(named![control_sse, control_x87, floats], address, controls);
        add(named![divides], address, Faults(&[Divide]));
        add(named![reads], nowhere, Faults(&[PageRead, Protection]));
        add(named![writes], nowhere, Faults(&[PageWrite, Protection]));
        let refused = named![
            enters,
            exits,
            swaps,
            halts,
            disables,
            sets_state,
            sets_register,
            sets_key,
            ends_machine
        ];
        add(refused, address, Faults(&[Protection, InvalidOpcode]));
        Self(acts)
    }

    /// Does one of them, and looks how it ended.
    pub fn one(&self, random: &mut Random) {
        if random.once_in(8) {
            return noise(random);
        }
        let act = &self.0[random.below(self.0.len() as u64) as usize];
        let argument = (act.argument)(random);
        let reason = act.program.run(argument);
        let is_right = match (act.kind, reason) {
            (Faults(kinds), ExitReason::Faulted(fault)) => kinds.contains(&fault.kind),
            (KeepsArgument, ExitReason::Exited(code)) => code == argument,
            (KeepsFlags, ExitReason::Exited(code)) => code == argument & SETTABLE | ALWAYS,
            _ => false,
        };
        assert!(is_right, "{} with {argument:#x}: {reason}", act.name);
    }
}

/// A program of noise, among it what begins an entry: whatever it does, it ends.
fn noise(random: &mut Random) {
    const BEGINNINGS: [&[u8]; 8] = [
        &[0x0f, 0x05],
        &[0xcd],
        &[0xcc],
        &[0x9d],
        &[0x8e, 0xd0],
        &[0x48, 0xcf],
        &[0xf3, 0x48, 0x0f, 0xae, 0xd8],
        &[0x0f, 0xae],
    ];
    let mut bytes = alloc::vec::Vec::new();
    while bytes.len() < 48 {
        if random.once_in(3) {
            bytes.extend_from_slice(random.pick(&BEGINNINGS));
        }
        bytes.extend_from_slice(&random.bits().to_le_bytes()[..3]);
    }
    bytes.extend_from_slice(&[0x0f, 0x0b]);
    let bare = Program::of_bytes(&bytes).start(random.bits());
    let deadline = clock::now() + 2_000_000;
    if bare.process.wait_until(deadline).is_err() {
        // It goes round in circles.
        let _ = bare.process.kill();
        bare.process.wait().expect("its end");
    }
}
