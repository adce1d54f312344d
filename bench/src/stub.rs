//! System calls with as few instructions around them as a compiler would need: the registers that the
//! call takes, and no more. The runtime's own gives a call all registers, and so sets all of them.
//!
//! A call keeps `rsp` alone. The compiler keeps `rbx` and `rbp` for itself, so they are saved here.

use orbital_user::abi::Syscall;

/// Makes the call with these registers, the first of which is `rdi`; gives its code, and `rdi` as the
/// call left it.
macro_rules! make {
    ($syscall:expr, $first:expr, [$($register:tt = $value:expr),*], [$($other:tt),*]) => {{
        let (code, result): (u64, u64);
        core::arch::asm!(
            "push rbx",
            "push rbp",
            "syscall",
            "pop rbp",
            "pop rbx",
            inlateout("rax") $syscall as u64 => code,
            inlateout("rdi") $first => result,
            $(inlateout($register) $value => _,)*
            $(lateout($other) _,)*
            lateout("rcx") _, lateout("r11") _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
        );
        (code, result)
    }};
}

/// A call that takes up to three control words; gives its code, and its first result.
///
/// # Safety
/// What the call does to the program's own memory and threads is the caller's business.
#[inline(always)]
pub unsafe fn call(syscall: Syscall, control: [u64; 3]) -> (u64, u64) {
    let [first, second, third] = control;
    // SAFETY: the caller's; all that a call changes is given as changed.
    unsafe { make!(syscall, first, ["rsi" = second, "rdx" = third], ["r8", "r9", "r10"]) }
}

/// A call that takes four control words; else the same.
///
/// # Safety
/// As [`call`].
#[inline(always)]
pub unsafe fn call_with_four(syscall: Syscall, control: [u64; 4]) -> (u64, u64) {
    let [first, second, third, fourth] = control;
    // SAFETY: as in `call`.
    unsafe { make!(syscall, first, ["rsi" = second, "rdx" = third, "r8" = fourth], ["r9", "r10"]) }
}

/// A call that takes four control words and two message words; else the same.
///
/// # Safety
/// As [`call`].
#[inline(always)]
pub unsafe fn call_with_words(syscall: Syscall, control: [u64; 4], words: [u64; 2]) -> (u64, u64) {
    let [first, second, third, fourth] = control;
    // SAFETY: as in `call`.
    unsafe {
        make!(
            syscall,
            first,
            ["rsi" = second, "rdx" = third, "r8" = fourth, "r9" = words[0], "r10" = words[1]],
            []
        )
    }
}

/// A call that takes four control words; gives its code, and its fourth result.
///
/// # Safety
/// As [`call`].
#[inline(always)]
pub unsafe fn call_for_fourth(syscall: Syscall, control: [u64; 4]) -> (u64, u64) {
    let [first, second, third, fourth] = control;
    let (code, result): (u64, u64);
    // SAFETY: the caller's; all that a call changes is given as changed.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "push rbp",
            "syscall",
            "pop rbp",
            "pop rbx",
            inlateout("rax") syscall as u64 => code,
            inlateout("rdi") first => _,
            inlateout("rsi") second => _,
            inlateout("rdx") third => _,
            inlateout("r8") fourth => result,
            lateout("r9") _, lateout("r10") _, lateout("rcx") _, lateout("r11") _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
        );
    }
    (code, result)
}

/// A call that takes nothing; gives its code.
#[inline(always)]
pub fn bare(syscall: Syscall) -> u64 {
    let code;
    // SAFETY: the calls that take nothing touch no memory and no other thread; all that a call changes
    // is given as changed.
    unsafe {
        core::arch::asm!(
            "push rbx",
            "push rbp",
            "syscall",
            "pop rbp",
            "pop rbx",
            inlateout("rax") syscall as u64 => code,
            lateout("rdi") _, lateout("rsi") _, lateout("rdx") _, lateout("r8") _,
            lateout("r9") _, lateout("r10") _, lateout("rcx") _, lateout("r11") _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
        );
    }
    code
}
