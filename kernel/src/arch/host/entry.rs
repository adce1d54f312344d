//! The ways into the kernel, which it offers by symbol, and the first way out.

use orbital_abi::Syscall;

use super::{SavedRegisters, Stop, current_registers, segments, set_current};
use crate::arch::{
    Trap,
    quick::{self, Bare, Quick},
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
    /// The same without words, where the segment registers are null.
    safe fn orbital_call_bare(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_reply_receive_bare(
        _: u64,
        _: u64,
        _: u64,
        _: *mut SavedRegisters,
        _: u64,
    ) -> Answer;
    /// The dispatcher's turn, after a quick one.
    safe fn orbital_turn(
        registers: *mut SavedRegisters,
        way: u64,
        words: &[u64; 6],
    ) -> *mut SavedRegisters;
}

/// Defines `$name`, the system call `$_number` without words, which the function `$made_by` makes: see x86_64.
macro_rules! bare_message {
    ($name:ident, $_number:ident, $made_by:path) => {
        #[unsafe(no_mangle)]
        extern "C-unwind" fn $name(
            first: u64,
            second: u64,
            third: u64,
            registers: *mut $crate::arch::SavedRegisters,
            fourth: u64,
        ) -> $crate::arch::quick::Quick<$crate::arch::SavedRegisters> {
            let made = $made_by(first, second, third, registers, fourth);
            $crate::arch::host::quick_answer(made)
        }
    };
}
pub(crate) use bare_message;

/// The control words, which are in the CPU, go where the simulated machine has them.
pub fn quick_answer(made: Bare<SavedRegisters>) -> Quick<SavedRegisters> {
    if made.quick.way & (quick::SAVED | quick::DECLINED) == 0 {
        // SAFETY: the thread is about to go on in user mode.
        unsafe { &mut *made.quick.registers }.set_control(made.control);
    }
    made.quick
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
        // SAFETY: the thread is in user mode, and so nobody else touches its registers.
        let ([first, second, third, fourth], words) = unsafe { &*registers }.quick_call();
        let is_bare = second >> 32 == 0 && segments::registers() == 0;
        let quick = match Syscall::from_number(number) {
            Some(Syscall::Null) => orbital_null,
            Some(Syscall::ThreadYield) => orbital_yield,
            Some(Syscall::Call) if is_bare => orbital_call_bare,
            Some(Syscall::Call) => orbital_call,
            Some(Syscall::ReplyReceive) if is_bare => orbital_reply_receive_bare,
            Some(Syscall::ReplyReceive) => orbital_reply_receive,
            Some(Syscall::NotificationSignal) => orbital_signal,
            Some(Syscall::NotificationWait) => orbital_await_signal,
            _ => return orbital_syscall(registers, number),
        };
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
