//! Messages without words, of threads whose segment registers are all as they were when they started: nearly all. The
//! way in finds both out, since that takes few instructions there: the user's GS base is in place before `swapgs`.
//!
//! The kernel has to keep no register then: not for the message, and not for the thread, which keeps none but the
//! stack pointer. So the function that makes the call is free to use all of them ("preserve-none"), and never returns.
//! By that convention its first four parameters are in `r12` to `r15`, which say nothing, and the next five where the
//! program's control words are, with the thread's registers in `rcx`.

use core::arch::{asm, naked_asm};

use orbital_abi::Syscall;

use super::{
    super::{
        context::{SavedRegisters, field},
        cpu_area::{CURRENT, SELECTORS, STACK_TOP},
        entry::leave,
    },
    call_with_words, keep_way_back, reply_receive_with_words,
};
use crate::arch::quick::{Bare, DECLINED, Quick, SAVED};

unsafe extern "C-unwind" {
    safe fn orbital_syscall(registers: *mut SavedRegisters, number: u64) -> *mut SavedRegisters;
    safe fn orbital_turn(
        registers: *mut SavedRegisters,
        way: u64,
        words: &[u64; 6],
    ) -> *mut SavedRegisters;
}

/// Defines `$name`, which the entry code calls: the system call `$number`, if it is quick, made by the function
/// `$made_by` of the control words 0 to 2, the registers, and control word 3. In line, or it would have to keep
/// registers.
macro_rules! bare_message {
    ($name:ident, $number:ident, $made_by:path) => {
        #[unsafe(no_mangle)]
        extern "rust-preserve-none" fn $name(
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
            let made = $made_by(slot, tag, deadline, registers, fourth);
            let request = [slot, tag, deadline, fourth];
            $crate::arch::quick_leave(made, request, orbital_abi::Syscall::$number)
        }
    };
}
pub(crate) use bare_message;

/// Leaves after such a call as that says, or makes it as any other: with the control words `request`.
#[inline(always)]
pub fn quick_leave(made: Bare<SavedRegisters>, request: [u64; 4], call: Syscall) -> ! {
    let Bare { quick: Quick { registers, way }, control } = made;
    match way {
        0 => go_on(registers, control),
        // SAFETY: the kernel has chosen who goes on, and nothing on the stack is needed any more.
        SAVED => unsafe { leave(registers) },
        DECLINED => decline(registers, request, call),
        _ => go_on_after_turn(registers, control, way),
    }
}

/// A message's way in: straight from user mode.
macro_rules! message {
    ($name:ident, $number:ident, $with_words:path, $in_full:ident, $bare:literal) => {
        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        pub extern "C" fn $name() {
            naked_asm!(
                "rdgsbase rax",
                "swapgs",
                "mov gs:[{selectors}], ds",
                "mov gs:[{selectors} + 2], es",
                "mov gs:[{selectors} + 4], fs",
                "mov gs:[{selectors} + 6], gs",
                "or rax, gs:[{selectors}]",
                keep_way_back!(),
                "jnz {with_words}",
                // All of the tag but the label, and the base of FS.
                "mov r11, rsi",
                "shr r11, 32",
                "rdfsbase rcx",
                "or r11, rcx",
                "jnz {with_words}",
                // The number, for a panic's report.
                "mov qword ptr [rax + {error_code}], {number}",
                "mov rcx, rax",
                "mov rsp, gs:[{stack_top}]",
                concat!("call ", $bare),
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

        /// The same where programs can't set bases by themselves, nor the kernel read them.
        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        pub extern "C" fn $in_full() {
            naked_asm!(
                "swapgs",
                keep_way_back!(),
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

message!(call, Call, call_with_words, call_in_full, "orbital_call_bare");
message!(
    reply_receive,
    ReplyReceive,
    reply_receive_with_words,
    reply_receive_in_full,
    "orbital_reply_receive_bare"
);

/// To user mode, without words.
#[inline(always)]
fn go_on(registers: *mut SavedRegisters, [first, second, third]: [u64; 3]) -> ! {
    // SAFETY: the thread that is current now goes on; its registers keep the invariants of `context`, so `sysretq` does
    // not fault. Nothing on the stack is needed any more.
    unsafe {
        asm!(
            "mov rcx, [r12 + {rip}]",
            "mov r11, [r12 + {flags}]",
            "mov rsp, [r12 + {user_rsp}]",
            "xor eax, eax",
            "xor r8d, r8d",
            "xor r9d, r9d",
            "xor r10d, r10d",
            "xor r12d, r12d",
            "xor r13d, r13d",
            "xor r14d, r14d",
            "xor r15d, r15d",
            "xor ebx, ebx",
            "xor ebp, ebp",
            "swapgs",
            "sysretq",
            rip = const field!(rip),
            flags = const field!(flags),
            user_rsp = const field!(rsp),
            in("r12") registers,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            options(noreturn),
        )
    }
}

/// The same once the dispatcher has had a turn.
#[cold]
#[inline(never)]
fn go_on_after_turn(registers: *mut SavedRegisters, control: [u64; 3], way: u64) -> ! {
    if way & SAVED == 0 {
        // SAFETY: the registers of the thread that is current, of which nobody has a reference now.
        unsafe { &mut *registers }.set_control(control);
    }
    let registers = orbital_turn(registers, way, &[0; 6]);
    // SAFETY: the kernel has chosen who goes on, and nothing on the stack is needed any more.
    unsafe { leave(registers) }
}

/// The call is made as any other.
#[cold]
#[inline(never)]
fn decline(registers: *mut SavedRegisters, control: [u64; 4], call: Syscall) -> ! {
    // SAFETY: the current thread's registers, of which nobody has a reference now.
    unsafe { &mut *registers }.set_request(control);
    let registers = orbital_syscall(registers, call as u64);
    // SAFETY: as above.
    unsafe { leave(registers) }
}
