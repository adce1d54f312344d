//! Which register carries what across a system call.
//!
//! | register | in | out |
//! |---|---|---|
//! | `rax` | system call number | 0, or the code of an [`Error`](crate::Error) |
//! | `rdi rsi rdx r8` | control words 0 to 3 | control words 0 to 3 |
//! | `r9 r10 r12 r13 r14 r15 rbx rbp` | message words 0 to 7 | message words 0 to 7 |
//! | `rsp` | | as before |
//! | `rcx r11` | | the return address and the flags, which the instruction itself puts there |
//!
//! A call keeps `rsp` and nothing else: what comes back in a register is a result, a part of a
//! message, or zero. Whoever makes the call saves `rbx` and `rbp` where its compiler reserves them.
//! Flags come back as they were, less those that a user can't set.

/// The registers of a system call, less `rax`: four control words, then eight message words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Registers {
    /// `rdi rsi rdx r8`.
    pub control: [u64; 4],
    /// `r9 r10 r12 r13 r14 r15 rbx rbp`.
    pub words: [u64; 8],
}

impl Registers {
    /// Registers with these control words, all message words zero.
    pub const fn control(control: [u64; 4]) -> Self {
        Self { control, words: [0; 8] }
    }
}
