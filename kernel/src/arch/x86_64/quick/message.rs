//! The ways in of messages. One without words, of a thread without segments, is a call like others, of which nothing has to
//! be kept. Of others the words that are in registers which Rust uses are kept at the stack's end.

use core::arch::naked_asm;

use orbital_abi::Syscall;

use super::{
    super::{
        context::{SavedRegisters, field},
        cpu_area::{CURRENT, SELECTORS, STACK_TOP},
    },
    gather_selectors, go_up, keep_way_back,
};

/// Defines `$name`, as [`quick_call`](super::quick_call) does, where `$number` brings words or there may be segments.
/// One with more than words in registers goes on to `$long`.
macro_rules! quick_message {
    ($number:ident, $name:ident = $made:path, $long:ident = $made_long:path) => {
        $crate::arch::quick_message!(@one $number, $name = $made, $long);
        $crate::arch::quick_message!(@one $number, $long = $made_long);
    };
    (@one $number:ident, $name:ident = $made:path $(, $long:ident)?) => {
        #[unsafe(no_mangle)]
        extern "rust-preserve-none" fn $name(
            registers: *mut $crate::arch::SavedRegisters,
            _: u64,
            _: u64,
            _: u64,
            slot: u64,
            tag: u64,
            deadline: u64,
            _: u64,
            fourth: u64,
            _: u64,
            segments: u64,
        ) -> ! {
            $(if orbital_abi::Tag::short_from_bits(tag).is_none() {
                $long(registers, 0, 0, 0, slot, tag, deadline, 0, fourth, 0, segments)
            })?
            let made = $made(registers, [slot, tag, deadline, fourth], segments != 0);
            $crate::arch::leave_with_words(made, registers, orbital_abi::Syscall::$number)
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
                gather_selectors!("rax"),
                keep_way_back!("rax"),
                "jnz 3f",
                // All of the tag but the label, and the base of FS.
                "mov r11, rsi",
                "shr r11, 32",
                "rdfsbase rcx",
                "or r11, rcx",
                "jnz 2f",
                "mov r12, rax",
                go_up!($made_bare),
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
                "mov r12, rax",
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
                keep_way_back!("rax"),
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
