//! Instructions that raise exceptions: each ends its thread with the fault that it was, at the
//! instruction or right behind it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use guests::{
    bare::{Code, Program, each_is, faulted},
    code, named, suite,
};
use orbital_user::{ExitReason, FaultKind};

suite! {
    cases: [
        invalid_instructions_are_faults,
        breakpoints_are_faults,
        single_steps_are_faults,
        divisions_are_faults,
        floating_point_errors_are_faults,
        misaligned_accesses_with_the_check_on_are_no_harm,
        a_single_step_over_a_system_call_is_no_harm,
    ],
    roles: [],
}

use FaultKind::{Alignment, Breakpoint, Debug, Divide, FloatingPoint, InvalidOpcode, Protection};

code! {
    undefined: [] ["ud2"];
    undefined_1: [] [".byte 0x0f, 0xb9, 0xc0"];
    not_in_64_bits: [] [".byte 0x06"];
    adjust: [] [".byte 0x27"];
    into: [] [".byte 0xce"];
    too_long: [] [
        ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90"
    ];
}

/// What no instruction is, or is none here.
fn invalid_instructions_are_faults() {
    let codes = named![undefined, undefined_1, not_in_64_bits, adjust, into];
    each_is(codes, &[InvalidOpcode], 0);
    each_is(named![too_long], &[Protection], 0);
}

code! {
    breakpoint: [] ["int3"];
    breakpoint_by_number: [] [".byte 0xcd, 3"];
    debug_breakpoint: [] [".byte 0xf1"];
}

/// `int3` ends a thread with a breakpoint, right behind it; so does the undocumented `int1`, as a
/// debug exception.
fn breakpoints_are_faults() {
    each_is(named![breakpoint], &[Breakpoint], 1);
    each_is(named![breakpoint_by_number], &[Breakpoint], 2);
    // QEMU's CPU does not know it.
    let program = Program::new(debug_breakpoint);
    let known = faulted(Debug, 0, program.marked() + 1);
    let reason = program.run(0);
    assert!([known, faulted(InvalidOpcode, 0, program.marked())].contains(&reason), "{reason}");
}

code! {
    step: ["push 0x102", "popfq"] ["nop", "ud2"];
    // The instruction behind a load of SS is not stepped.
    step_over_stack_load: ["mov eax, 0x1b", "push 0x102", "popfq"] ["mov ss, eax", "nop", "ud2"];
    // Into the kernel with a step that is due (CVE-2018-8897).
    step_into_breakpoint: ["mov eax, 0x1b", "push 0x102", "popfq"] ["mov ss, eax", "int3", "ud2"];
    step_into_call: [
        "mov edx, 0x1b", "xor eax, eax", "push 0x102", "popfq"
    ] ["mov ss, edx", "syscall", "nop", "ud2"];
    step_over_call: ["xor eax, eax", "push 0x102", "popfq"] ["syscall", "nop", "ud2"];
}

/// With the trap flag, the first instruction ends the thread with a debug exception behind it.
fn single_steps_are_faults() {
    each_is(named![step], &[Debug], 1);
    let program = Program::new(step_over_stack_load);
    let ExitReason::Faulted(fault) = program.run(0) else { panic!("it went on") };
    assert_eq!(fault.kind, Debug);
    let end = fault.instruction_pointer - program.marked();
    assert!([2, 3].contains(&end), "{end}");
}

/// A step that is due at a system call or a breakpoint reaches the kernel in its first instruction,
/// and does it no harm.
fn a_single_step_over_a_system_call_is_no_harm() {
    for code in [step_over_call as Code, step_into_call, step_into_breakpoint] {
        let ExitReason::Faulted(fault) = Program::new(code).run(0) else { panic!("it went on") };
        assert!([Debug, Breakpoint].contains(&fault.kind), "{fault:?}");
        assert_eq!(fault.address, 0);
    }
}

code! {
    divide_by_zero: ["mov eax, 1", "xor edx, edx", "xor ecx, ecx"] ["div ecx"];
    divide_too_much: ["xor eax, eax", "mov edx, 1", "mov ecx, 1"] ["div ecx"];
    divide_the_least: ["mov eax, 0x80000000", "cdq", "mov ecx, -1"] ["idiv ecx"];
    divide_byte: ["mov eax, 0x1000", "mov cl, 1"] ["div cl"];
}

/// A division by zero, and quotients that do not fit.
fn divisions_are_faults() {
    let codes = named![divide_by_zero, divide_too_much, divide_the_least, divide_byte];
    each_is(codes, &[Divide], 0);
}

code! {
    // All x87 errors unmasked; the next waiting instruction reports.
    x87_divide: ["push 0x340", "fldcw [rsp]", "fld1", "fldz", "fdivp"] ["fwait"];
    x87_invalid: ["push 0x340", "fldcw [rsp]", "fld1", "fchs", "fsqrt"] ["fwait"];
    sse_divide: [
        "push 0", "ldmxcsr [rsp]", "mov eax, 1", "cvtsi2ss xmm0, eax", "xorps xmm1, xmm1"
    ] ["divss xmm0, xmm1", "xor edi, edi", "mov eax, 33", "syscall"];
    sse_invalid: ["push 0", "ldmxcsr [rsp]", "xorps xmm0, xmm0", "xorps xmm1, xmm1"]
        ["divss xmm0, xmm1", "xor edi, edi", "mov eax, 33", "syscall"];
    mxcsr_reserved: ["push -1"]
        ["ldmxcsr [rsp]", "xor edi, edi", "mov eax, 33", "syscall"];
    sse_masked: [
        "mov eax, 1", "cvtsi2ss xmm0, eax", "xorps xmm1, xmm1", "divss xmm0, xmm1",
        "fld1", "fldz", "fdivp", "fwait", "xor edi, edi", "mov eax, 33", "syscall",
    ] ["ud2"];
}

/// Unmasked errors of x87 and SSE end the thread; masked they go by.
fn floating_point_errors_are_faults() {
    each_is(named![x87_divide, x87_invalid], &[FloatingPoint], 0);
    // QEMU's CPU raises no SSE exceptions, and takes any MXCSR.
    let lenient = [
        (sse_divide as Code, FloatingPoint),
        (sse_invalid, FloatingPoint),
        (mxcsr_reserved, Protection),
    ];
    for (code, kind) in lenient {
        let program = Program::new(code);
        let reason = program.run(0);
        let fault = faulted(kind, 0, program.marked());
        assert!([fault, ExitReason::Exited(0)].contains(&reason), "{reason}");
    }
    assert_eq!(Program::new(sse_masked).run(0), ExitReason::Exited(0));
}

code! {
    misaligned: ["push 0x40002", "popfq"]
        ["mov rax, [rsp - 15]", "xor edi, edi", "mov eax, 33", "syscall"];
    misaligned_vector: [] ["movaps xmm0, [rsp - 15]"];
}

/// With the alignment check on, a misaligned access is a fault where the CPU checks, or goes well.
/// Instructions that insist on alignment fault always.
fn misaligned_accesses_with_the_check_on_are_no_harm() {
    let program = Program::new(misaligned);
    let reason = program.run(0);
    let fault = faulted(Alignment, 0, program.marked());
    assert!([ExitReason::Exited(0), fault].contains(&reason), "{reason}");
    each_is(named![misaligned_vector], &[Protection], 0);
}
