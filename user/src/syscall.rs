//! The system call instruction. The registers stand in [`orbital_abi::registers`].

use orbital_abi::{Error, Registers, Syscall};

/// The system call with any number, and its result register: for tests of the kernel.
///
/// # Safety
/// What the call does to the program's own memory and threads is the caller's business: it can
/// unmap what is in use.
#[inline(always)]
pub unsafe fn raw(number: u64, registers: &mut Registers) -> u64 {
    #[cfg(target_os = "none")]
    // SAFETY: the caller's; all that a call changes is given as changed.
    let result = unsafe { make(number, registers) };
    #[cfg(not(target_os = "none"))]
    let result = {
        let _ = (number, registers);
        Error::UnknownSyscall.code()
    };
    result
}

/// Takes no register through memory, so that a call with a few words takes a few instructions.
///
/// # Safety
/// As [`raw`].
#[cfg(target_os = "none")]
#[inline(always)]
unsafe fn make(number: u64, registers: &mut Registers) -> u64 {
    let Registers { control: [c0, c1, c2, c3], words: [w0, w1, w2, w3, w4, w5, w6, w7] } =
        registers;
    let result;
    // SAFETY: the caller's; a call keeps nothing but rsp, and all others are given as changed.
    unsafe {
        core::arch::asm!(
            // The compiler keeps these for itself: their words travel in the two that the instruction overwrites.
            "push rbx",
            "push rbp",
            "mov rbx, rcx",
            "mov rbp, r11",
            "syscall",
            "mov rcx, rbx",
            "mov r11, rbp",
            "pop rbp",
            "pop rbx",
            inout("rax") number => result,
            inout("rdi") *c0, inout("rsi") *c1, inout("rdx") *c2, inout("r8") *c3,
            inout("r9") *w0, inout("r10") *w1, inout("r12") *w2, inout("r13") *w3,
            inout("r14") *w4, inout("r15") *w5, inout("rcx") *w6, inout("r11") *w7,
        );
    }
    result
}

/// The system call `syscall`; gives its results.
///
/// # Safety
/// As [`raw`].
///
/// # Errors
/// The kernel's.
#[inline(always)]
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
#[inline(always)]
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
