//! Quick system calls: those that mostly end with a switch to the partner, or at once. The function that makes such a call
//! never returns, and is free to use all registers ("preserve-none"). By that convention its first parameter
//! is in `r12`: the thread's registers. Three say nothing, and those from the fifth on are in `rdi`, `rsi`, `rdx`, `rcx`,
//! `r8`, `r9` and `r11`, where the program's control words are, `rcx` aside. So the way in keeps where the thread goes on, and nothing else; but of a [`message`] with words it keeps those,
//! where the way out finds them.
//!
//! The segment registers of nearly all threads are null, and their bases 0, as when they started. That is found out here,
//! where it takes few instructions: the user's GS base is in place before `swapgs`.
//!
//! What Rust makes of the call it says by a [`Quick`](crate::arch::quick::Quick): see [`leave`].

mod leave;
mod message;

use core::arch::naked_asm;

use orbital_abi::Syscall;

use super::{
    context::{SavedRegisters, field},
    cpu_area::{CURRENT, SELECTORS, STACK_TOP},
};
pub use leave::{decline, leave_with_words, leave_without_words};
pub(crate) use message::quick_message;
pub use message::{call, call_in_full, reply_receive, reply_receive_in_full};

/// Defines `$name`, which the entry code calls: how `$number` is made where it brings no words. `$made` makes it of the
/// registers, the control words, and whether segment registers may be other than null, where the way in looks at those;
/// it stands in line.
macro_rules! quick_call {
    ($number:ident, $name:ident = $made:path $(, if $may_be:path)?) => {
        #[unsafe(no_mangle)]
        extern "rust-preserve-none" fn $name(
            registers: *mut $crate::arch::SavedRegisters,
            _: u64,
            _: u64,
            _: u64,
            first: u64,
            second: u64,
            third: u64,
            _: u64,
            fourth: u64,
            segments: u64,
        ) -> ! {
            let control = [first, second, third, fourth];
            $(if !$may_be(control) {
                $crate::arch::decline(registers, control, orbital_abi::Syscall::$number)
            })?
            let made = $made(registers, control, segments != 0);
            $crate::arch::leave_without_words(
                made,
                registers,
                control,
                orbital_abi::Syscall::$number,
            )
        }
    };
}
pub(crate) use quick_call;

/// Where and how the current thread goes back, whose registers are at `$at` from here on. Keeps the flags.
macro_rules! keep_way_back {
    ($at:literal) => {
        concat!(
            "mov ",
            $at,
            ", gs:[{current}]
             mov [",
            $at,
            " + {rip}], rcx
             mov [",
            $at,
            " + {flags}], r11
             mov [",
            $at,
            " + {user_rsp}], rsp"
        )
    };
}
use keep_way_back;

/// `$reg`, which has the user's GS base, is not 0 afterwards where that is not, or one of the selectors. Flags say so too.
macro_rules! gather_selectors {
    ($reg:literal) => {
        concat!(
            "mov gs:[{selectors}], ds
             mov gs:[{selectors} + 2], es
             mov gs:[{selectors} + 4], fs
             mov gs:[{selectors} + 6], gs
             or ",
            $reg,
            ", gs:[{selectors}]"
        )
    };
}
use gather_selectors;

/// Up into Rust, with the registers at `r12`.
macro_rules! go_up {
    ($to:literal) => {
        concat!(
            // The number, for a panic's report.
            "mov qword ptr [r12 + {error_code}], {number}
             mov rsp, gs:[{stack_top}]
             call ",
            $to
        )
    };
}
use go_up;

macro_rules! way_in {
    ($name:ident, $number:ident, $to:literal, [$($look:expr),*] $(, $selectors:ident)?) => {
        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        pub extern "C" fn $name() {
            naked_asm!(
                $($look,)*
                go_up!($to),
                $(selectors = const $selectors,)?
                number = const Syscall::$number as u64,
                current = const CURRENT,
                stack_top = const STACK_TOP,
                error_code = const field!(error_code),
                rip = const field!(rip),
                flags = const field!(flags),
                user_rsp = const field!(rsp),
            )
        }
    };
}

/// Straight from user mode, of a call that goes on at once.
macro_rules! way_in_and_back {
    ($name:ident, $number:ident, $to:literal) => {
        way_in!($name, $number, $to, ["swapgs", keep_way_back!("r12")]);
    };
}

/// The same of one that may give the CPU to another thread: whether there are segments stands in `r9` then. `$in_full` is
/// for where programs can't set bases by themselves, nor the kernel read them.
macro_rules! way_in_and_over {
    ($name:ident, $in_full:ident, $number:ident, $to:literal) => {
        way_in!(
            $name,
            $number,
            $to,
            [
                "rdgsbase r9",
                "swapgs",
                gather_selectors!("r9"),
                keep_way_back!("r12"),
                "rdfsbase r11",
                "or r9, r11"
            ],
            SELECTORS
        );
        way_in!($in_full, $number, $to, ["swapgs", keep_way_back!("r12"), "mov r9d, 1"]);
    };
}

way_in_and_back!(null, Null, "orbital_null");
way_in_and_back!(signal, NotificationSignal, "orbital_signal");
way_in_and_over!(give_way, give_way_in_full, ThreadYield, "orbital_yield");
way_in_and_over!(wait, wait_in_full, NotificationWait, "orbital_await_signal");
