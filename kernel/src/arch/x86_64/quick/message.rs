//! The ways in of messages. The segment registers of nearly all threads are null, and their bases 0, as when they
//! started. That is found out here, where it takes few instructions: the user's GS base is in place before `swapgs`.
//!
//! The function that makes a call never returns, and is free to use all registers ("preserve-none"). By that convention
//! its first four parameters are in `r12` to `r15`, which say nothing, and the next where the program's control words
//! are, with the thread's registers in `rcx`. So what has to be kept is kept here: of a message without words nothing,
//! and of others the words that are in registers which Rust uses, where the way out finds them: at the stack's end.

use core::arch::naked_asm;

use orbital_abi::Syscall;

use super::{
    super::{
        context::{SavedRegisters, field},
        cpu_area::{CURRENT, SELECTORS, STACK_TOP},
    },
    keep_way_back,
};

/// Defines how `$number` is made: `$bare`, `$with_words`, which the entry code calls, and which of the functions
/// `$made_bare` and `$made` are made, of the control words 0 to 2, the registers, and control word 3, the second of
/// whether segment registers may be other than null, too. They stand in line there.
macro_rules! quick_message {
    ($number:ident, $bare:ident = $made_bare:path, $with_words:ident = $made:path) => {
        #[unsafe(no_mangle)]
        extern "rust-preserve-none" fn $bare(
            _: u64,
            _: u64,
            _: u64,
            _: u64,
            slot: u64,
            tag: u64,
            deadline: u64,
            registers: *mut $crate::arch::SavedRegisters,
            fourth: u64,
        ) -> ! {
            let made = $made_bare(slot, tag, deadline, registers, fourth);
            let request = [slot, tag, deadline, fourth];
            $crate::arch::leave_bare(made, request, orbital_abi::Syscall::$number)
        }

        #[unsafe(no_mangle)]
        extern "rust-preserve-none" fn $with_words(
            _: u64,
            _: u64,
            _: u64,
            _: u64,
            slot: u64,
            tag: u64,
            deadline: u64,
            registers: *mut $crate::arch::SavedRegisters,
            fourth: u64,
            segments: u64,
        ) -> ! {
            let made = $made(slot, tag, deadline, registers, fourth, segments != 0);
            $crate::arch::leave_with_words(made, orbital_abi::Syscall::$number)
        }
    };
}
pub(crate) use quick_message;

/// Without words straight from user mode; with words, and where there may be segments; and the same straight from user
/// mode, where programs can't set bases by themselves, nor the kernel read them.
macro_rules! ways_in {
    ($number:ident, $bare:ident: $made_bare:literal, $with_words:ident: $made:literal, $in_full:ident) => {
        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        pub extern "C" fn $bare() {
            naked_asm!(
                "rdgsbase rax",
                "swapgs",
                "mov gs:[{selectors}], ds",
                "mov gs:[{selectors} + 2], es",
                "mov gs:[{selectors} + 4], fs",
                "mov gs:[{selectors} + 6], gs",
                "or rax, gs:[{selectors}]",
                keep_way_back!(),
                "jnz 3f",
                // All of the tag but the label, and the base of FS.
                "mov r11, rsi",
                "shr r11, 32",
                "rdfsbase rcx",
                "or r11, rcx",
                "jnz 2f",
                // The number, for a panic's report.
                "mov qword ptr [rax + {error_code}], {number}",
                // (nothing 4 times, control words 0 to 2, registers, control word 3)
                "mov rcx, rax",
                "mov rsp, gs:[{stack_top}]",
                concat!("call ", $made_bare),
                "2:",
                "mov r11, rcx",
                "jmp {with_words}",
                "3:",
                "mov r11d, 1",
                "jmp {with_words}",
                selectors = const SELECTORS,
                with_words = sym $with_words,
                number = const Syscall::$number as u64,
                current = const CURRENT,
                stack_top = const STACK_TOP,
                error_code = const field!(error_code),
                rip = const field!(rip),
                flags = const field!(flags),
                user_rsp = const field!(rsp),
            )
        }

        /// With the current thread's registers at `rax`, which say already where it goes on, and in `r11` no 0 where it
        /// may have segments.
        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        extern "C" fn $with_words() {
            naked_asm!(
                "mov [rax + {rdi}], rdi",
                "mov [rax + {rsi}], rsi",
                "mov [rax + {rdx}], rdx",
                "mov [rax + {r8}], r8",
                "mov [rax + {r9}], r9",
                "mov [rax + {r10}], r10",
                "mov qword ptr [rax + {error_code}], {number}",
                "mov rsp, gs:[{stack_top}]",
                "push rbp; push rbx; push r15; push r14; push r13; push r12",
                // (nothing 4 times, control words 0 to 2, registers, control word 3, segments)
                "mov rcx, rax",
                "mov r9, r11",
                concat!("call ", $made),
                number = const Syscall::$number as u64,
                stack_top = const STACK_TOP,
                error_code = const field!(error_code),
                rdi = const field!(rdi),
                rsi = const field!(rsi),
                rdx = const field!(rdx),
                r8 = const field!(r8),
                r9 = const field!(r9),
                r10 = const field!(r10),
            )
        }

        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        pub extern "C" fn $in_full() {
            naked_asm!(
                "swapgs",
                keep_way_back!(),
                "mov r11d, 1",
                "jmp {with_words}",
                with_words = sym $with_words,
                current = const CURRENT,
                rip = const field!(rip),
                flags = const field!(flags),
                user_rsp = const field!(rsp),
            )
        }
    };
}

ways_in!(
    Call,
    call: "orbital_call_bare",
    call_with_words: "orbital_call",
    call_in_full
);
ways_in!(
    ReplyReceive,
    reply_receive: "orbital_reply_receive_bare",
    reply_receive_with_words: "orbital_reply_receive",
    reply_receive_in_full
);
