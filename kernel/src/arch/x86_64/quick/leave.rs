//! The ways out of quick calls, as [`Quick`] says. Why `sysretq` does not fault: see [`entry`](super::super::entry).

use core::arch::{asm, naked_asm};

use orbital_abi::Syscall;

use super::super::{
    context::{SavedRegisters, field},
    cpu_area::STACK_TOP,
    entry::leave,
};
use crate::arch::quick::{Bare, FOURTH, MOST_WORDS, Quick, SAVED};

unsafe extern "C-unwind" {
    safe fn orbital_syscall(registers: *mut SavedRegisters, number: u64) -> *mut SavedRegisters;
    safe fn orbital_turn(
        registers: *mut SavedRegisters,
        way: u64,
        words: &[u64; 6],
    ) -> *mut SavedRegisters;
}

/// Leaves after a call without words, which the thread with these `registers` and `control` words has made; or makes it as
/// any other where it was declined.
#[inline(always)]
pub fn leave_without_words(
    made: Option<Bare<SavedRegisters>>,
    registers: *mut SavedRegisters,
    control: [u64; 4],
    call: Syscall,
) -> ! {
    let Some(Bare { quick: Quick { registers, way }, control }) = made else {
        decline(registers, control, call)
    };
    if way == 0 {
        go_on(registers, control)
    }
    let [first, second, third] = control;
    go_on_otherwise(registers, first, second, third, way)
}

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

/// With what its registers say, or once the dispatcher has had a turn. In registers, as `make_in_full`: words in memory would
/// be put there on the way that nearly all calls go.
#[inline(never)]
fn go_on_otherwise(
    registers: *mut SavedRegisters,
    first: u64,
    second: u64,
    third: u64,
    way: u64,
) -> ! {
    if way & SAVED == 0 {
        // SAFETY: the registers of the thread that is current, of which nobody has a reference now.
        unsafe { &mut *registers }.set_control([first, second, third]);
    }
    let registers = match way {
        SAVED => registers,
        _ => orbital_turn(registers, way, &[0; 6]),
    };
    // SAFETY: the kernel has chosen who goes on, and nothing on the stack is needed any more.
    unsafe { leave(registers) }
}

/// The call is made as any other.
#[inline(always)]
pub fn decline(registers: *mut SavedRegisters, control: [u64; 4], call: Syscall) -> ! {
    let [first, second, third, fourth] = control;
    make_in_full(registers, first, second, third, fourth, call)
}

#[cold]
#[inline(never)]
fn make_in_full(
    registers: *mut SavedRegisters,
    first: u64,
    second: u64,
    third: u64,
    fourth: u64,
    call: Syscall,
) -> ! {
    // SAFETY: the current thread's registers, of which nobody has a reference now.
    unsafe { &mut *registers }.set_request([first, second, third, fourth]);
    let registers = orbital_syscall(registers, call as u64);
    // SAFETY: the kernel has chosen who goes on, and nothing on the stack is needed any more.
    unsafe { leave(registers) }
}

/// Leaves after a message with words, as [`leave_without_words`]. The control words stand in the registers already.
#[inline(always)]
pub fn leave_with_words(
    made: Option<Quick<SavedRegisters>>,
    registers: *mut SavedRegisters,
    call: Syscall,
) -> ! {
    let Some(Quick { registers, way }) = made else { decline_with_words(registers, call) };
    if way <= MOST_WORDS {
        // SAFETY: the thread that is current now goes on with so many words, the last of which stand at the stack's end.
        unsafe {
            asm!("jmp {}", sym go_on_with_words, in("rax") registers, in("rdx") way, options(noreturn))
        }
    }
    leave_otherwise(registers, way)
}

/// The message is sent as any other.
#[cold]
#[inline(never)]
fn decline_with_words(registers: *mut SavedRegisters, call: Syscall) -> ! {
    // SAFETY: the current thread's registers, of which nobody has a reference now.
    unsafe { &mut *registers }.set_last_words(words());
    let registers = orbital_syscall(registers, call as u64);
    // SAFETY: the kernel has chosen who goes on, and nothing on the stack is needed any more.
    unsafe { leave(registers) }
}

/// The words that the way in has kept: all but the first two.
fn words() -> &'static [u64; 6] {
    let end: *const [u64; 6];
    // SAFETY: they stand at the stack's end until the next way in.
    unsafe {
        asm!("mov {}, gs:[{stack_top}]", out(reg) end, stack_top = const STACK_TOP, options(nostack, preserves_flags));
        &*end.sub(1)
    }
}

/// In other ways than with words.
#[inline(never)]
fn leave_otherwise(registers: *mut SavedRegisters, way: u64) -> ! {
    let registers = match way {
        SAVED => registers,
        way if way <= FOURTH + MOST_WORDS => {
            // SAFETY: as in `leave_with_words`, and it finds a fourth control word.
            unsafe {
                asm!("jmp {}", sym go_on_with_fourth, in("rax") registers, in("rdx") way, options(noreturn))
            }
        }
        _ => orbital_turn(registers, way, words()),
    };
    // SAFETY: the kernel has chosen who goes on, and nothing on the stack is needed any more.
    unsafe { leave(registers) }
}

/// With the registers of the thread that goes on at `rax`, and the number of valid message words in `rdx`: loads the
/// words, and clears those that are not valid. Each of those instructions has 3 bytes.
macro_rules! words {
    () => {
        "mov rsp, gs:[{stack_top}]
         sub rsp, 48
         pop r12; pop r13; pop r14; pop r15; pop rbx; pop rbp
         mov rsp, rax
         mov r9, [rsp + {r9}]
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

/// To user mode from there.
macro_rules! go_on {
    () => {
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

macro_rules! go_on_with {
    ($name:ident, $r8:literal) => {
        #[unsafe(naked)]
        #[unsafe(link_section = ".text.entry")]
        extern "C" fn $name() {
            naked_asm!(
                $r8,
                words!(),
                go_on!(),
                stack_top = const STACK_TOP,
                fourth = const FOURTH,
                r8 = const field!(r8),
                r9 = const field!(r9),
                r10 = const field!(r10),
                rdi = const field!(rdi),
                rsi = const field!(rsi),
                rdx = const field!(rdx),
                rip = const field!(rip),
                flags = const field!(flags),
                user_rsp = const field!(rsp),
            )
        }
    };
}

go_on_with!(go_on_with_words, "xor r8d, r8d /* {fourth} {r8} */");
go_on_with!(go_on_with_fourth, "sub edx, {fourth}; mov r8, [rax + {r8}]");
