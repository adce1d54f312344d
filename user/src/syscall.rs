//! The system call instruction. The registers stand in [`orbital_abi::registers`].

use orbital_abi::{Error, Registers, Syscall};

#[cfg(target_os = "none")]
core::arch::global_asm!(
    // rdi: the call's number, rsi: its registers, in and out. Returns the call's result.
    // A call keeps nothing but rsp, so all that the C convention wants kept goes to the stack.
    ".global orbital_syscall",
    "orbital_syscall:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "push rsi",
    "mov rax, rdi",
    "mov rcx, rsi",
    // Control words.
    "mov rdi, [rcx]",
    "mov rsi, [rcx + 8]",
    "mov rdx, [rcx + 16]",
    "mov r8, [rcx + 24]",
    // Message words.
    "mov r9, [rcx + 32]",
    "mov r10, [rcx + 40]",
    "mov r12, [rcx + 48]",
    "mov r13, [rcx + 56]",
    "mov r14, [rcx + 64]",
    "mov r15, [rcx + 72]",
    "mov rbx, [rcx + 80]",
    "mov rbp, [rcx + 88]",
    "syscall",
    // rcx held the return address, so it is free.
    "pop rcx",
    "mov [rcx], rdi",
    "mov [rcx + 8], rsi",
    "mov [rcx + 16], rdx",
    "mov [rcx + 24], r8",
    "mov [rcx + 32], r9",
    "mov [rcx + 40], r10",
    "mov [rcx + 48], r12",
    "mov [rcx + 56], r13",
    "mov [rcx + 64], r14",
    "mov [rcx + 72], r15",
    "mov [rcx + 80], rbx",
    "mov [rcx + 88], rbp",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
);

#[cfg(target_os = "none")]
unsafe extern "C" {
    fn orbital_syscall(number: u64, registers: *mut Registers) -> u64;
}

/// The system call with any number, and its result register: for tests of the kernel.
///
/// # Safety
/// What the call does to the program's own memory and threads is the caller's business: it can
/// unmap what is in use.
pub unsafe fn raw(number: u64, registers: &mut Registers) -> u64 {
    #[cfg(target_os = "none")]
    // SAFETY: the stub keeps what its convention promises, and writes to `registers` alone.
    let result = unsafe { orbital_syscall(number, registers) };
    #[cfg(not(target_os = "none"))]
    let result = {
        let _ = (number, registers);
        Error::UnknownSyscall.code()
    };
    result
}

/// The system call `syscall`; gives its results.
///
/// # Safety
/// As [`raw`].
///
/// # Errors
/// The kernel's.
pub unsafe fn call(syscall: Syscall, registers: &Registers) -> Result<Registers, Error> {
    let mut registers = *registers;
    // SAFETY: the caller's.
    let result = unsafe { raw(syscall as u64, &mut registers) };
    match result {
        0 => Ok(registers),
        // The kernel has no other codes than the ABI's.
        code => Err(Error::from_code(code).unwrap_or(Error::UnknownSyscall)),
    }
}

/// A system call that can't touch the program's memory or other threads' work.
///
/// # Errors
/// The kernel's; [`Error::UnknownSyscall`] for calls that are not of this sort.
pub fn harmless(syscall: Syscall, registers: &Registers) -> Result<Registers, Error> {
    if matches!(
        syscall,
        Syscall::MemoryMap
            | Syscall::MemoryUnmap
            | Syscall::MemoryProtect
            | Syscall::ThreadCreate
            | Syscall::ThreadWriteRegisters
    ) {
        return Err(Error::UnknownSyscall);
    }
    // SAFETY: the calls that change memory or start code are excluded above.
    unsafe { call(syscall, registers) }
}
