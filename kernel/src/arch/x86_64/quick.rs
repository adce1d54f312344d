//! Quick system calls: those that mostly end with a switch to the partner, or at once. Their way in saves what the
//! kernel needs of a thread that waits: where it goes on, and the control words. The words of a message stay in the
//! CPU or on the kernel's stack until the partner has them.
//!
//! What Rust makes of the call it says by a [`Quick`](crate::arch::quick::Quick). Here are the calls that bring
//! no message.

mod leave;
mod message;

use core::arch::naked_asm;

use orbital_abi::Syscall;

use super::{
    context::{SavedRegisters, field},
    cpu_area::{CURRENT, STACK_TOP},
    entry::leave,
};
use crate::arch::quick::{DECLINED, SAVED};
pub use leave::{leave_bare, leave_with_words};
pub(crate) use message::quick_message;
pub use message::{call, call_in_full, reply_receive, reply_receive_in_full};

/// Where and how the current thread goes back, whose registers are at `rax` from here on. Keeps the flags.
macro_rules! keep_way_back {
    () => {
        "mov rax, gs:[{current}]
         mov [rax + {rip}], rcx
         mov [rax + {flags}], r11
         mov [rax + {user_rsp}], rsp"
    };
}
use keep_way_back;

/// To user mode, with the stack pointer at the thread's registers, and no words: a system call that succeeded. Why
/// `sysretq` does not fault: see [`entry`](super::entry).
macro_rules! go_on {
    () => {
        "xor r8d, r8d
         mov rdi, [rsp + {rdi}]
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
quick_control!(signal, NotificationSignal, "orbital_signal");
quick_control!(wait, NotificationWait, "orbital_await_signal");

/// What does not go on at once: `rax` and `rdx` are what Rust said, the stack is empty.
#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn rest() {
    naked_asm!(
        "cmp edx, {saved}",
        "je 4f",
        "cmp edx, {declined}",
        "je 5f",
        // The dispatcher has a turn. No word is valid: orbital_turn(registers, way, words).
        "sub rsp, 48",
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
        saved = const SAVED,
        declined = const DECLINED,
        error_code = const field!(error_code),
        r12 = const field!(r12),
        r13 = const field!(r13),
        r14 = const field!(r14),
        r15 = const field!(r15),
        rbx = const field!(rbx),
        rbp = const field!(rbp),
    )
}
