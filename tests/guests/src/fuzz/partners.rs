//! Threads that a program of random calls starts: they call or answer on an endpoint until that is
//! refused. Whoever ends them, wherever they are, leaves nothing in anyone's way: they have no stack.

use core::arch::naked_asm;

use orbital_user::abi::Syscall;

/// Their first instructions. Their stack pointer is the endpoint's handle: that alone outlives a call.
pub fn entries() -> [u64; 2] {
    [calls as *const () as u64, answers as *const () as u64]
}

/// Calls for ever.
#[unsafe(naked)]
extern "C" fn calls() {
    naked_asm!(
        "2:",
        "mov rdi, rsp",
        "xor esi, esi",
        "mov rdx, -1",
        "mov eax, {call}",
        "syscall",
        "test eax, eax",
        "jz 2b",
        "mov eax, {exit}",
        "xor edi, edi",
        "syscall",
        "ud2",
        call = const Syscall::Call as u64,
        exit = const Syscall::ThreadExit as u64,
    )
}

/// Takes messages for ever and answers those that are calls.
#[unsafe(naked)]
extern "C" fn answers() {
    naked_asm!(
        "2:",
        "mov rdi, rsp",
        "xor esi, esi",
        "mov rdx, -1",
        "mov eax, {receive}",
        "syscall",
        "test eax, eax",
        "jnz 3f",
        "xor edi, edi",
        "xor esi, esi",
        "mov eax, {reply}",
        "syscall",
        "jmp 2b",
        "3:",
        "mov eax, {exit}",
        "xor edi, edi",
        "syscall",
        "ud2",
        receive = const Syscall::Receive as u64,
        reply = const Syscall::Reply as u64,
        exit = const Syscall::ThreadExit as u64,
    )
}
