//! Whole ranges: each bit of the flags, addresses around every edge, all selectors of the table and its
//! neighbours, control words of x87 and SSE.
#![forbid(unsafe_code)]

use guests::{
    bare::{CODE, Code, Program, STACK_TOP},
    code, named,
};
use orbital_user::{ExitReason, FaultKind, abi::layout::USER_END};

use super::ALWAYS;

/// The bits of the flags that a program can set and keep: all of [`super::FLAGS`].
const SETTABLE: u64 = 0x24_4cd5;
const TRAP: u64 = 1 << 8;

code! {
    // Exits with the flags after a call that fails, one that yields, and a while of the timer's.
    flags_after_calls: [
        "push rdi", "popfq", "mov eax, 999", "syscall", "mov eax, 16", "syscall",
        "pushfq", "pop rdi", "push 2", "popfq", "mov eax, 33", "syscall",
    ] ["ud2"];
}

/// Of the 64 bits, eleven are a program's own. What it wishes of the others (interrupts off, an I/O level,
/// virtual mode) comes to nothing, and a call returns in the state that it came from.
pub fn every_bit_of_the_flags_is_the_program_s_or_refused() {
    let program = Program::new(flags_after_calls);
    let bits = (0..64).map(|bit| 1_u64 << bit);
    for flags in bits.chain([0, u64::MAX, 0x3000, 0x1_a000, 0x18_0000]) {
        let flags = flags & !TRAP;
        let expected = ExitReason::Exited(flags & SETTABLE | ALWAYS);
        assert_eq!(program.run(flags), expected, "{flags:#x}");
    }
}

code! {
    jumps: [] ["jmp rdi"];
    calls: [] ["call rdi"];
    returns: ["push rdi"] ["ret"];
}

/// The kernel's half, the hole that no address can lie in, the last page below it: wherever a program
/// goes, it is the program's fault, there or at the instruction.
pub fn jumps_to_any_address_are_faults() {
    let edges =
        [USER_END, 1 << 47, 1 << 48, 1 << 63, 0xffff << 48, 0x1_ffff << 47, 0xffff_ffff << 31];
    let around = edges.iter().flat_map(|edge: &u64| [edge.wrapping_sub(1), *edge, edge + 1]);
    let programs = [jumps as Code, calls, returns].map(Program::new);
    for target in around.chain([0, 1, CODE - 1, STACK_TOP, u64::MAX]) {
        for program in &programs {
            let reason = program.run(target);
            let ExitReason::Faulted(fault) = reason else { panic!("{target:#x}: {reason}") };
            let kinds = [FaultKind::PageExecute, FaultKind::PageRead, FaultKind::Protection];
            assert!(kinds.contains(&fault.kind), "{target:#x}: {reason}");
            let places = [target, program.marked()];
            assert!(places.contains(&fault.instruction_pointer), "{target:#x}: {reason}");
        }
    }
}

code! {
    loads_all: [
        "mov ds, edi", "mov es, edi", "mov fs, edi", "mov gs, edi",
        "mov eax, 999", "syscall", "mov eax, 16", "syscall",
        "xor edi, edi", "mov eax, 33", "syscall",
    ] ["ud2"];
    loads_stack: ["mov ss, edi", "mov eax, 999", "syscall", "xor edi, edi", "mov eax, 33", "syscall"]
        ["ud2"];
}

/// Selectors up to behind the table, with each level, of the global and of a local table: the null one
/// and the program's own data and code, and nothing else. After it calls go on.
pub fn every_selector_is_loaded_or_refused() {
    let (all, stack) = (Program::new(loads_all), Program::new(loads_stack));
    for selector in (0..0x48).chain([0xfff0, 0xfff8, 0xffff]) {
        let is_local = selector & 4 != 0;
        let index = selector >> 3;
        let is_loaded = !is_local && [0, 3, 4].contains(&index);
        check(&all, selector, is_loaded);
        check(&stack, selector, !is_local && index == 3 && selector & 3 == 3);
    }
}

fn check(program: &Program, selector: u64, is_loaded: bool) {
    let reason = program.run(selector);
    let is_right = match reason {
        ExitReason::Exited(0) => is_loaded,
        ExitReason::Faulted(fault) => !is_loaded && fault.kind == FaultKind::Protection,
        _ => false,
    };
    assert!(is_right, "{selector:#x}: {reason}");
}

code! {
    step_call: ["mov eax, 999", "push 0x102", "popfq"] ["syscall", "nop", "ud2"];
    step_yield: ["mov eax, 16", "push 0x102", "popfq"] ["syscall", "nop", "ud2"];
    step_breakpoint: ["push 0x102", "popfq"] ["int3", "ud2"];
    step_overflow: ["push 0x102", "popfq"] ["int 4", "ud2"];
    step_refused: ["push 0x102", "popfq"] ["int 0x80", "ud2"];
    step_undefined: ["push 0x102", "popfq"] ["ud2"];
    step_nowhere: ["mov rax, -1", "shl rax, 63", "push 0x102", "popfq"] ["jmp rax"];
    shadow_call: ["mov edx, 0x1b", "mov eax, 999", "push 0x102", "popfq"]
        ["mov ss, edx", "syscall", "nop", "ud2"];
    shadow_breakpoint: ["mov edx, 0x1b", "push 0x102", "popfq"] ["mov ss, edx", "int3", "ud2"];
    shadow_overflow: ["mov edx, 0x1b", "push 0x102", "popfq"] ["mov ss, edx", "int 4", "ud2"];
    shadow_refused: ["mov edx, 0x1b", "push 0x102", "popfq"] ["mov ss, edx", "int 1", "ud2"];
    shadow_step: ["mov edx, 0x1b"] ["mov ss, edx", ".byte 0xf1", "ud2"];
    shadow_undefined: ["mov edx, 0x1b", "push 0x102", "popfq"] ["mov ss, edx", "ud2"];
}

/// A step that is due at each way into the kernel, with and without the instruction for which a load of
/// SS holds it back (CVE-2018-8897), with a base of GS that could be the kernel's and a stack that leads
/// nowhere: the thread ends, and nobody else.
pub fn steps_and_breakpoints_meet_the_entry() {
    use FaultKind::{Breakpoint, Debug, InvalidOpcode, Other, Protection};
    let codes = named![
        step_call,
        step_yield,
        step_breakpoint,
        step_overflow,
        step_refused,
        step_undefined,
        step_nowhere,
        shadow_call,
        shadow_breakpoint,
        shadow_overflow,
        shadow_refused,
        shadow_step,
        shadow_undefined,
    ];
    for (name, code) in codes {
        let ExitReason::Faulted(fault) = Program::new(*code).run(0) else {
            panic!("{name} went on")
        };
        let kinds = [Debug, Breakpoint, Other, Protection, InvalidOpcode];
        assert!(kinds.contains(&fault.kind), "{name}: {}", fault.kind);
        assert_eq!(fault.address, 0, "{name}");
    }
}

code! {
    // Loads control words, lets the kernel save and load them, and exits with them: MXCSR in the upper
    // half.
    controls: [
        "push rdi", "fldcw [rsp]", "shr rdi, 32", "push rdi", "ldmxcsr [rsp]",
        "mov eax, 16", "syscall", "mov eax, 16", "syscall",
        "fnstcw [rsp + 8]", "stmxcsr [rsp]", "mov edi, [rsp]", "shl rdi, 32",
        "movzx eax, word ptr [rsp + 8]", "or rdi, rax", "mov eax, 33", "syscall",
    ] ["ud2"];
    // An error that is due while the kernel saves and loads.
    due: [
        "push 0x340", "fldcw [rsp]", "fld1", "fldz", "fdivp",
        "mov eax, 16", "syscall", "mov eax, 999", "syscall", "mov eax, 16", "syscall",
    ] ["fwait", "ud2"];
}

/// Control words with every error unmasked and every mode survive switches; errors that are due wait for
/// the program's own next instruction.
pub fn floating_point_controls_of_any_kind_are_no_harm() {
    let (program, due) = (Program::new(controls), Program::new(due));
    // Bits 6 and 12 of the x87 word are what they are; MXCSR has no reserved bit set.
    for (x87, mxcsr) in
        [(0x037f, 0x1f80), (0x0340, 0), (0x0f7f, 0xffbf), (0x0040, 0x8000), (0x0c40, 0x603f)]
    {
        let both = programs_beside(&program, &due, mxcsr << 32 | x87);
        assert_eq!(both.0, ExitReason::Exited(mxcsr << 32 | x87), "{x87:#x} {mxcsr:#x}");
        let ExitReason::Faulted(fault) = both.1 else { panic!("the error was lost: {}", both.1) };
        assert_eq!(fault.kind, FaultKind::FloatingPoint);
        assert_eq!(fault.instruction_pointer, due.marked());
    }
}

/// Runs two at once, so that each yields to the other.
fn programs_beside(one: &Program, other: &Program, argument: u64) -> (ExitReason, ExitReason) {
    let (one, other) = (one.start(argument), other.start(0));
    (one.process.wait().expect("its end"), other.process.wait().expect("its end"))
}
