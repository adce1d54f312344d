//! Interrupts and exceptions: the assembly between the vectors and Rust.
//!
//! From user mode the CPU pushes its frame straight into the current thread's TCB (the task state
//! segment points there), the stub below pushes the other registers on top of it, and the CPU's
//! empty kernel stack takes over. From kernel mode (idle, the interrupt window, a fault while
//! copying from a program) the same stub leaves everything on the kernel stack and returns there.
//!
//! Vectors with a stack of their own may come in the middle of the entry code, when GS is still
//! the user's, and a user can set any base: they find their CPU's area at the top of their stack
//! and save and restore the GS base themselves.

use core::arch::{asm, global_asm, naked_asm};

use super::{
    cpu_area::{CURRENT, STACK_TOP},
    gdt::{IST_BYTES, IST_TOP},
};

/// Bytes from one vector's stub to the next.
pub const STUB_BYTES: u64 = 16;

// One stub a vector: a zero where the CPU pushes no error code, the vector, and on. Vectors 8, 10
// to 14, 17, 21, 29 and 30 have an error code (Intel SDM volume 3, table 6-1; AMD APM volume 2,
// table 8-1). Vectors 1, 2, 8 and 18 have stacks of their own.
global_asm!(
    ".section .text.entry, \"ax\"",
    ".balign 16",
    ".global orbital_stubs",
    "orbital_stubs:",
    ".set vector, 0",
    ".rept 256",
    ".balign 16",
    ".if vector != 8 && vector != 17 && vector != 21 && vector != 29 && vector != 30 && (vector < 10 || vector > 14)",
    "push 0",
    ".endif",
    // push imm32, spelt out: the assembler would take the symbol for a memory operand.
    ".byte 0x68",
    ".long vector",
    ".if vector == 1 || vector == 2 || vector == 8 || vector == 18",
    "jmp {own_stack}",
    ".else",
    "jmp {common}",
    ".endif",
    ".set vector, vector + 1",
    ".endr",
    ".text",
    own_stack = sym own_stack,
    common = sym common,
);

unsafe extern "C" {
    /// The first of 256 stubs, [`STUB_BYTES`] apart.
    safe static orbital_stubs: u8;
}

/// Address of the stub of `vector`.
pub fn stub(vector: u8) -> u64 {
    &raw const orbital_stubs as u64 + u64::from(vector) * STUB_BYTES
}

macro_rules! push_all {
    () => {
        "push rax; push rcx; push rdx; push rbx; push rbp; push rsi; push rdi; push r8; push r9
         push r10; push r11; push r12; push r13; push r14; push r15"
    };
}

macro_rules! pop_all {
    () => {
        "pop r15; pop r14; pop r13; pop r12; pop r11; pop r10; pop r9; pop r8; pop rdi; pop rsi
         pop rbp; pop rbx; pop rdx; pop rcx; pop rax"
    };
}

/// An interrupt leaves flags as the program had them. The direction flag would turn string
/// instructions around, and the alignment-check flag lets the kernel touch user memory (Intel SDM
/// volume 3, 4.6). Bit 1 is always one; interrupts stay off.
macro_rules! clean_flags {
    () => {
        "push 2; popfq"
    };
}

#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn common() {
    naked_asm!(
        // The code segment that was interrupted, behind vector, error code and rip. The fences keep the
        // CPU from running ahead on the wrong side with the other GS (CVE-2019-1125).
        "test byte ptr [rsp + 24], 3",
        "jz 2f",
        "swapgs",
        "lfence",
        push_all!(),
        "mov rdi, rsp",
        "mov rsp, gs:[{stack_top}]",
        clean_flags!(),
        "xor ebp, ebp",
        "call orbital_trap_from_user",
        "mov rdi, rax",
        "jmp {leave}",
        // From the kernel itself.
        "2: lfence",
        push_all!(),
        clean_flags!(),
        "mov rdi, rsp",
        // The CPU had aligned the stack before it pushed 5 words; with ours it is aligned again.
        "call orbital_trap_from_kernel",
        pop_all!(),
        "add rsp, 16",
        "iretq",
        stack_top = const STACK_TOP,
        leave = sym super::entry::leave,
    )
}

#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn own_stack() {
    naked_asm!(
        push_all!(),
        clean_flags!(),
        // A debug exception in user mode is that thread's fault: move it to the common way. GS is
        // surely the user's.
        "cmp qword ptr [rsp + 15 * 8], 1",
        "jne 2f",
        "test byte ptr [rsp + 18 * 8], 3",
        "jz 2f",
        "swapgs",
        "lfence",
        "mov rsi, rsp",
        "mov rdi, gs:[{current}]",
        "mov ecx, 22",
        "rep movsq",
        "mov rdi, gs:[{current}]",
        "mov rsp, gs:[{stack_top}]",
        "xor ebp, ebp",
        "call orbital_trap_from_user",
        "mov rdi, rax",
        "jmp {leave}",
        // Save the GS base in r12 and r13, which Rust keeps, and put this CPU's in its place.
        "2: mov ecx, 0xc0000101",
        "rdmsr",
        "mov r12d, eax",
        "mov r13d, edx",
        "mov rdx, rsp",
        "or rdx, {ist_bytes} - 1",
        "mov rax, [rdx + 1 - {ist_top}]",
        "mov rdx, rax",
        "shr rdx, 32",
        "wrmsr",
        "mov rdi, rsp",
        "call orbital_trap_on_own_stack",
        "mov ecx, 0xc0000101",
        "mov eax, r12d",
        "mov edx, r13d",
        "wrmsr",
        pop_all!(),
        "add rsp, 16",
        "iretq",
        current = const CURRENT,
        stack_top = const STACK_TOP,
        ist_bytes = const IST_BYTES,
        ist_top = const IST_TOP,
        leave = sym super::entry::leave,
    )
}

/// Executes a breakpoint.
pub fn breakpoint() {
    // SAFETY: the handler returns behind it, or there is none and the machine resets, which is
    // what the one caller wants.
    unsafe { asm!("int3") }
}
