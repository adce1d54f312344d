//! System calls: the way in by `syscall` and the two ways out.
//!
//! In: `rcx` holds the return address, `r11` the flags, everything else is the user's, the stack
//! too. FMASK has cleared IF, TF, DF, AC, NT and IOPL, so nothing interrupts the few instructions
//! on the user's stack but an NMI or a machine check, which have stacks of their own.
//!
//! 1. the calls of [`quick`] go their own way;
//! 2. `swapgs`: GS now points to this CPU's area, the user's base waits in a register of its own;
//! 3. all registers that carry arguments go straight into the current thread's TCB;
//! 4. the CPU's one kernel stack, empty, and up into Rust: [`syscall`](crate::syscall).
//!
//! Out: Rust returns the registers of the thread that runs next, whichever it is. One that entered
//! by `syscall` leaves by `sysretq`, others by `iretq`, right from the TCB. Why neither faults:
//! `rip` was either checked when the thread was made or stood in `rcx` after a `syscall` in user
//! space, whose last page is never mapped, so it is canonical; segments are constants; flags are
//! the user's own, which `popf` had let it set.

use core::{arch::naked_asm, ops::Range};

use orbital_abi::Syscall;
use x86_64::{
    VirtAddr,
    registers::{
        model_specific::{Efer, EferFlags, LStar, SFMask, Star},
        rflags::RFlags,
    },
    structures::gdt::SegmentSelector,
};

use super::{
    context::{ENTERED_BY_SYSCALL, SavedRegisters, field},
    cpu_area::{CURRENT, SCRATCH, STACK_TOP},
    features, gdt, quick,
};

// `test rax, rax` below.
const _: () = assert!(Syscall::Null as u64 == 0);

unsafe extern "C" {
    safe static kernel_entry_start: u8;
    safe static kernel_entry_end: u8;
}

/// Where the code lies through which the kernel is entered and left: here, in `quick` and in `trap`.
pub fn code() -> Range<u64> {
    &raw const kernel_entry_start as u64..&raw const kernel_entry_end as u64
}

/// Lets user programs make system calls on this CPU.
pub fn init() {
    let entry = match features::features().fsgsbase {
        true => syscall_entry,
        false => syscall_entry_without_bases,
    } as extern "C" fn();
    LStar::write(VirtAddr::new(entry as *const () as u64));
    SFMask::write(
        RFlags::INTERRUPT_FLAG
            | RFlags::TRAP_FLAG
            | RFlags::DIRECTION_FLAG
            | RFlags::ALIGNMENT_CHECK
            | RFlags::NESTED_TASK
            | RFlags::RESUME_FLAG
            | RFlags::IOPL_LOW
            | RFlags::IOPL_HIGH,
    );
    // The selectors fulfil what `sysretq` computes from them, so this can't fail.
    let _ = Star::write(
        SegmentSelector(gdt::USER_CODE),
        SegmentSelector(gdt::USER_DATA),
        SegmentSelector(gdt::KERNEL_CODE),
        SegmentSelector(gdt::KERNEL_DATA),
    );
    // SAFETY: the entry point is set.
    unsafe { Efer::update(|flags| flags.insert(EferFlags::SYSTEM_CALL_EXTENSIONS)) };
}

/// To user mode by `sysretq`, with the stack pointer at the registers of a thread that entered by system call: `rcx`
/// and `r11` are where it goes on and with which flags.
macro_rules! go_on {
    () => {
        "mov rax, [rsp + {rax}]
         mov rdi, [rsp + {rdi}]
         mov rsi, [rsp + {rsi}]
         mov rdx, [rsp + {rdx}]
         mov r8, [rsp + {r8}]
         mov r9, [rsp + {r9}]
         mov r10, [rsp + {r10}]
         mov r12, [rsp + {r12}]
         mov r13, [rsp + {r13}]
         mov r14, [rsp + {r14}]
         mov r15, [rsp + {r15}]
         mov rbx, [rsp + {rbx}]
         mov rbp, [rsp + {rbp}]
         mov rcx, [rsp + {rip}]
         mov r11, [rsp + {flags}]
         mov rsp, [rsp + {user_rsp}]
         swapgs
         sysretq"
    };
}

#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn syscall_entry() {
    naked_asm!(
        "cmp rax, {call_number}",
        "je {call}",
        "cmp rax, {reply_receive_number}",
        "je {reply_receive}",
        "ja 2f",
        "test rax, rax",
        "jz {null}",
        "2:",
        "cmp rax, {yield_number}",
        "je {give_way}",
        "cmp rax, {signal_number}",
        "jb 3f",
        "je {signal}",
        "cmp rax, {wait_number}",
        "je {wait}",
        "3:",
        "swapgs",
        "mov gs:[{scratch}], rsp",
        "mov rsp, gs:[{current}]",
        // The number, for a panic's report, then arguments and message words.
        "mov [rsp + {error_code}], rax",
        "mov [rsp + {rdi}], rdi",
        "mov [rsp + {rsi}], rsi",
        "mov [rsp + {rdx}], rdx",
        "mov [rsp + {r8}], r8",
        "mov [rsp + {r9}], r9",
        "mov [rsp + {r10}], r10",
        "mov [rsp + {r12}], r12",
        "mov [rsp + {r13}], r13",
        "mov [rsp + {r14}], r14",
        "mov [rsp + {r15}], r15",
        "mov [rsp + {rbx}], rbx",
        "mov [rsp + {rbp}], rbp",
        // Where and how to go back.
        "mov [rsp + {rip}], rcx",
        "mov [rsp + {flags}], r11",
        "mov rcx, gs:[{scratch}]",
        "mov [rsp + {user_rsp}], rcx",
        // orbital_syscall(registers, number)
        "mov rdi, rsp",
        "mov rsi, rax",
        "mov rsp, gs:[{stack_top}]",
        "xor ebp, ebp",
        "call orbital_syscall",
        "mov rsp, rax",
        "cmp qword ptr [rsp + {entered_by}], {by_syscall}",
        "jne {by_interrupt}",
        go_on!(),
        call_number = const Syscall::Call as u64,
        call = sym quick::call,
        reply_receive_number = const Syscall::ReplyReceive as u64,
        reply_receive = sym quick::reply_receive,
        null = sym quick::null,
        yield_number = const Syscall::ThreadYield as u64,
        give_way = sym quick::give_way,
        wait_number = const Syscall::NotificationWait as u64,
        wait = sym quick::wait,
        signal_number = const Syscall::NotificationSignal as u64,
        signal = sym quick::signal,
        scratch = const SCRATCH,
        current = const CURRENT,
        stack_top = const STACK_TOP,
        by_syscall = const ENTERED_BY_SYSCALL,
        entered_by = const field!(entered_by),
        error_code = const field!(error_code),
        rdi = const field!(rdi),
        rsi = const field!(rsi),
        rdx = const field!(rdx),
        r8 = const field!(r8),
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
        rax = const field!(rax),
        by_interrupt = sym leave_by_interrupt,
    )
}

/// The same where programs can't set bases by themselves, nor the kernel read them.
#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn syscall_entry_without_bases() {
    naked_asm!(
        "cmp rax, {call_number}",
        "je {call}",
        "cmp rax, {reply_receive_number}",
        "je {reply_receive}",
        "cmp rax, {yield_number}",
        "je {give_way}",
        "cmp rax, {wait_number}",
        "je {wait}",
        "jmp {others}",
        call_number = const Syscall::Call as u64,
        call = sym quick::call_in_full,
        reply_receive_number = const Syscall::ReplyReceive as u64,
        reply_receive = sym quick::reply_receive_in_full,
        yield_number = const Syscall::ThreadYield as u64,
        give_way = sym quick::give_way_in_full,
        wait_number = const Syscall::NotificationWait as u64,
        wait = sym quick::wait_in_full,
        others = sym syscall_entry,
    )
}

/// Enters user mode with `registers`, which must be the current thread's. Abandons the stack.
///
/// # Safety
/// `registers` keeps the invariants of [`context`](super::context), this CPU's area and task state
/// name it, and its address space is loaded. Nothing on the stack is needed any more.
#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
pub unsafe extern "C" fn leave(registers: *mut SavedRegisters) -> ! {
    naked_asm!(
        "mov rsp, rdi",
        "cmp qword ptr [rsp + {entered_by}], {by_syscall}",
        "jne {by_interrupt}",
        go_on!(),
        by_interrupt = sym leave_by_interrupt,
        by_syscall = const ENTERED_BY_SYSCALL,
        entered_by = const field!(entered_by),
        rax = const field!(rax),
        rdi = const field!(rdi),
        rsi = const field!(rsi),
        rdx = const field!(rdx),
        r8 = const field!(r8),
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

/// To user mode by `iretq`, with the stack pointer at the registers of a thread that was interrupted: everything,
/// and `iretq` takes the rest.
#[unsafe(naked)]
#[unsafe(link_section = ".text.entry")]
extern "C" fn leave_by_interrupt() -> ! {
    naked_asm!(
        "pop r15; pop r14; pop r13; pop r12; pop r11; pop r10; pop r9; pop r8",
        "pop rdi; pop rsi; pop rbp; pop rbx; pop rdx; pop rcx; pop rax",
        // Whoever runs has entered by a system call, unless an interrupt says otherwise.
        "mov qword ptr [rsp], {by_syscall}",
        // The vector and the error code.
        "add rsp, 16",
        "swapgs",
        "iretq",
        by_syscall = const ENTERED_BY_SYSCALL,
    )
}
