//! Quick system calls: those that mostly end with a switch to the partner, or at once. Their way in saves what the
//! kernel needs of a thread that waits: where it goes on, and the control words. The words of a message stay where
//! they are, in the registers that Rust keeps, until the partner has them.
//!
//! What Rust makes of the call it says by a [`Quick`](crate::arch::quick::Quick), in `rax` and `rdx`. Messages without
//! words have a [way of their own](bare).

mod bare;

use core::arch::naked_asm;

use orbital_abi::Syscall;

use super::{
    context::{SavedRegisters, field},
    cpu_area::{CURRENT, STACK_TOP},
    entry::leave,
};
use crate::arch::quick::{DECLINED, FOURTH, MOST_WORDS, SAVED};
pub(crate) use bare::bare_message;
pub use bare::{call, call_in_full, quick_leave, reply_receive, reply_receive_in_full};

/// To user mode, with the stack pointer at the thread's registers and the message words loaded, and control word 3
/// where that is not zero: a system call that succeeded. Why `sysretq` does not fault: see [`entry`](super::entry).
macro_rules! go_on {
    () => {
        concat!("xor r8d, r8d\n", go_on!("fourth"))
    };
    ("fourth") => {
        "mov rdi, [rsp + {rdi}]
         mov rsi, [rsp + {rsi}]
         mov rdx, [rsp + {rdx}]
         xor eax, eax
         mov rcx, [rsp + {rip}]
         mov r11, [rsp + {flags}]
         mov rsp, [rsp + {user_rsp}]
         swapgs
         sysretq"
    };
}

/// Where and how the current thread goes back, whose registers are at `rax` from here on.
macro_rules! keep_way_back {
    () => {
        "mov rax, gs:[{current}]
         mov [rax + {rip}], rcx
         mov [rax + {flags}], r11
         mov [rax + {user_rsp}], rsp"
    };
}
use keep_way_back;

/// Such a call, with the current thread's registers at `rax`, which say already where it goes on. `$save` keeps what
/// it is given; `$to` makes it.
macro_rules! quick {
    ($name:ident, $number:ident, $to:literal, [$($save:expr),*], [$($field:ident = $is:expr),*]) => {
        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        pub extern "C" fn $name() {
            naked_asm!(
                $($save,)*
                // The number, for a panic's report.
                "mov qword ptr [rax + {error_code}], {number}",
                // (control words 0 to 2, registers, control word 3)
                "mov rcx, rax",
                "mov rsp, gs:[{stack_top}]",
                concat!("call ", $to),
                "test edx, edx",
                "jnz {rest}",
                // No words.
                "mov rsp, rax",
                "xor r9d, r9d",
                "xor r10d, r10d",
                "xor r12d, r12d",
                "xor r13d, r13d",
                "xor r14d, r14d",
                "xor r15d, r15d",
                "xor ebx, ebx",
                "xor ebp, ebp",
                go_on!(),
                number = const Syscall::$number as u64,
                rest = sym rest,
                stack_top = const STACK_TOP,
                error_code = const field!(error_code),
                rdi = const field!(rdi),
                rsi = const field!(rsi),
                rdx = const field!(rdx),
                rip = const field!(rip),
                flags = const field!(flags),
                user_rsp = const field!(rsp),
                $($field = const $is,)*
            )
        }
    };
}

/// With the control words, and the message words whose registers Rust does not keep.
macro_rules! quick_message {
    ($name:ident, $number:ident, $to:literal) => {
        quick!(
            $name,
            $number,
            $to,
            [
                "mov [rax + {rdi}], rdi",
                "mov [rax + {rsi}], rsi",
                "mov [rax + {rdx}], rdx",
                "mov [rax + {r8}], r8",
                "mov [rax + {r9}], r9",
                "mov [rax + {r10}], r10"
            ],
            [r8 = field!(r8), r9 = field!(r9), r10 = field!(r10)]
        );
    };
}

/// Straight from user mode.
macro_rules! quick_at_once {
    ($name:ident, $number:ident, $to:literal) => {
        quick!($name, $number, $to, ["swapgs", keep_way_back!()], [current = CURRENT]);
    };
}

/// The same, with the control words.
macro_rules! quick_control {
    ($name:ident, $number:ident, $to:literal) => {
        quick!(
            $name,
            $number,
            $to,
            [
                "swapgs",
                keep_way_back!(),
                "mov [rax + {rdi}], rdi",
                "mov [rax + {rsi}], rsi",
                "mov [rax + {rdx}], rdx",
                "mov [rax + {r8}], r8",
                "mov [rax + {r9}], r9",
                "mov [rax + {r10}], r10"
            ],
            [current = CURRENT, r8 = field!(r8), r9 = field!(r9), r10 = field!(r10)]
        );
    };
}

quick_at_once!(null, Null, "orbital_null");
quick_at_once!(give_way, ThreadYield, "orbital_yield");
quick_message!(call_with_words, Call, "orbital_call");
quick_message!(reply_receive_with_words, ReplyReceive, "orbital_reply_receive");
quick_control!(signal, NotificationSignal, "orbital_signal");
quick_control!(wait, NotificationWait, "orbital_await_signal");

/// With the stack pointer at the thread's registers and the number of valid message words in `rdx`: loads the first
/// two, and clears those that are not valid. Each of these instructions has 3 bytes.
macro_rules! words {
    () => {
        "mov r9, [rsp + {r9}]
         mov r10, [rsp + {r10}]
         lea eax, [rdx + 2 * rdx]
         lea rcx, [rip + 3f]
         add rcx, rax
         jmp rcx
         3:
         xor r9d, r9d
         xor r10d, r10d
         xor r12d, r12d
         xor r13d, r13d
         xor r14d, r14d
         xor r15d, r15d
         xor rbx, rbx
         xor rbp, rbp"
    };
}

/// What is not a thread without message words: `rax` and `rdx` are what Rust said, the stack is empty.
#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn rest() {
    naked_asm!(
        "cmp edx, {most_words}",
        "ja 2f",
        "mov rsp, rax",
        words!(),
        go_on!(),
        "2:",
        "cmp edx, {saved}",
        "je 4f",
        "cmp edx, {declined}",
        "je 5f",
        "cmp edx, {most_with_fourth}",
        "jbe {with_fourth}",
        // The dispatcher has a turn, and the words wait with the others: orbital_turn(registers, way, words).
        "push rbp; push rbx; push r15; push r14; push r13; push r12",
        "mov rdi, rax",
        "mov rsi, rdx",
        "mov rdx, rsp",
        "xor ebp, ebp",
        "call orbital_turn",
        "4:",
        "mov rdi, rax",
        "jmp {leave}",
        // As any other call: with all that it was given.
        "5:",
        "mov [rax + {r12}], r12",
        "mov [rax + {r13}], r13",
        "mov [rax + {r14}], r14",
        "mov [rax + {r15}], r15",
        "mov [rax + {rbx}], rbx",
        "mov [rax + {rbp}], rbp",
        "mov rdi, rax",
        "mov rsi, [rax + {error_code}]",
        "xor ebp, ebp",
        "call orbital_syscall",
        "jmp 4b",
        leave = sym leave,
        most_words = const MOST_WORDS,
        most_with_fourth = const FOURTH + MOST_WORDS,
        with_fourth = sym with_fourth,
        saved = const SAVED,
        declined = const DECLINED,
        error_code = const field!(error_code),
        rdi = const field!(rdi),
        rsi = const field!(rsi),
        rdx = const field!(rdx),
        r9 = const field!(r9),
        r10 = const field!(r10),
        r12 = const field!(r12),
        r13 = const field!(r13),
        r14 = const field!(r14),
        r15 = const field!(r15),
        rbx = const field!(rbx),
        rbp = const field!(rbp),
        rip = const field!(rip),
        flags = const field!(flags),
        user_rsp = const field!(rsp),
    )
}

/// As [`rest`], for a thread that finds something in control word 3, too.
#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn with_fourth() {
    naked_asm!(
        "sub edx, {fourth}",
        "mov rsp, rax",
        "mov r8, [rsp + {r8}]",
        words!(),
        go_on!("fourth"),
        fourth = const FOURTH,
        rdi = const field!(rdi),
        rsi = const field!(rsi),
        rdx = const field!(rdx),
        r8 = const field!(r8),
        r9 = const field!(r9),
        r10 = const field!(r10),
        rip = const field!(rip),
        flags = const field!(flags),
        user_rsp = const field!(rsp),
    )
}
