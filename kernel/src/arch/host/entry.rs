//! The ways into the kernel, which it offers by symbol, and the first way out.

use orbital_abi::Syscall;

use super::{SavedRegisters, Stop, current_registers, set_current};
use crate::arch::{
    Trap,
    quick::{self, Quick},
};

unsafe extern "C-unwind" {
    /// A system call of the current thread, whose registers hold its arguments.
    safe fn orbital_syscall(registers: *mut SavedRegisters, number: u64) -> *mut SavedRegisters;
    /// The quick ones: control words 0 to 2, the registers, and control word 3.
    safe fn orbital_null(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_yield(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_call(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_reply_receive(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64)
    -> Answer;
    safe fn orbital_signal(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_await_signal(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    /// The dispatcher's turn, after a quick one.
    safe fn orbital_turn(
        registers: *mut SavedRegisters,
        way: u64,
        words: &[u64; 6],
    ) -> *mut SavedRegisters;
}

type Answer = Quick<SavedRegisters>;

unsafe extern "Rust" {
    /// An interrupt or exception of the current thread.
    safe fn orbital_trap(trap: Trap) -> *mut SavedRegisters;
    /// An interrupt that came while the kernel let them in.
    safe fn orbital_interrupt_in_kernel(trap: Trap);
}

/// The current thread executes `syscall`, with its arguments in its registers. Gives the registers
/// of the thread that runs next.
///
/// # Errors
/// The [`Stop`] that kept the kernel from leaving.
pub fn syscall(number: u64) -> Result<*mut SavedRegisters, Stop> {
    super::run(|| {
        let registers = current_registers();
        let quick = match Syscall::from_number(number) {
            Some(Syscall::Null) => orbital_null,
            Some(Syscall::ThreadYield) => orbital_yield,
            Some(Syscall::Call) => orbital_call,
            Some(Syscall::ReplyReceive) => orbital_reply_receive,
            Some(Syscall::NotificationSignal) => orbital_signal,
            Some(Syscall::NotificationWait) => orbital_await_signal,
            _ => return orbital_syscall(registers, number),
        };
        // SAFETY: the thread is in user mode, and so nobody else touches its registers.
        let ([first, second, third, fourth], words) = unsafe { &*registers }.quick_call();
        let Quick { registers, way } = quick(first, second, third, registers, fourth);
        match way {
            quick::SAVED => registers,
            quick::DECLINED => orbital_syscall(registers, number),
            way if way & quick::TURN == 0 => {
                // SAFETY: the thread is about to go on in user mode.
                let to = unsafe { &mut *registers };
                to.set_other_words((way & !quick::FOURTH) as usize, &words);
                if way & quick::FOURTH == 0 {
                    to.set_fourth(0);
                }
                registers
            }
            _ => orbital_turn(registers, way, &words),
        }
    })
}

/// The current thread is interrupted, or did what it may not.
///
/// # Errors
/// As for [`syscall`].
pub fn trap(trap: Trap) -> Result<*mut SavedRegisters, Stop> {
    super::run(|| orbital_trap(trap))
}

/// Delivers an interrupt into the kernel.
pub(super) fn interrupt(trap: Trap) {
    orbital_interrupt_in_kernel(trap);
}

/// Enters user mode for the first time on this CPU.
///
/// # Safety
/// `registers` belong to the current thread, as [`set_current`] says, and its address space is
/// loaded. Nothing on the stack is needed any more.
pub unsafe fn enter_user(registers: *mut SavedRegisters) -> ! {
    set_current(registers);
    Stop::User.raise()
}
