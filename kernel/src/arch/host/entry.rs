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
    /// The quick ones that bring no message: control words 0 to 2, the registers, and control word 3.
    safe fn orbital_null(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_yield(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_signal(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    safe fn orbital_await_signal(_: u64, _: u64, _: u64, _: *mut SavedRegisters, _: u64) -> Answer;
    /// Those that do: the control words, the registers, and whether there are segments.
    safe fn orbital_call(_: &[u64; 4], _: *mut SavedRegisters, _: bool) -> Answer;
    safe fn orbital_call_bare(_: &[u64; 4], _: *mut SavedRegisters, _: bool) -> Answer;
    safe fn orbital_reply_receive(_: &[u64; 4], _: *mut SavedRegisters, _: bool) -> Answer;
    safe fn orbital_reply_receive_bare(_: &[u64; 4], _: *mut SavedRegisters, _: bool) -> Answer;
    /// The dispatcher's turn, after a quick one.
    safe fn orbital_turn(
        registers: *mut SavedRegisters,
        way: u64,
        words: &[u64; 6],
    ) -> *mut SavedRegisters;
}

/// Defines how `$_number` is made, without words and with words: see x86_64.
macro_rules! quick_message {
    ($_number:ident, $bare:ident = $made_bare:path, $with_words:ident = $made:path) => {
        #[unsafe(no_mangle)]
        extern "C-unwind" fn $bare(
            control: &[u64; 4],
            registers: *mut $crate::arch::SavedRegisters,
            _: bool,
        ) -> $crate::arch::quick::Quick<$crate::arch::SavedRegisters> {
            let [slot, tag, deadline, fourth] = *control;
            $crate::arch::host::bare_answer($made_bare(slot, tag, deadline, registers, fourth))
        }

        #[unsafe(no_mangle)]
        extern "C-unwind" fn $with_words(
            control: &[u64; 4],
            registers: *mut $crate::arch::SavedRegisters,
            has_segments: bool,
        ) -> $crate::arch::quick::Quick<$crate::arch::SavedRegisters> {
            let [slot, tag, deadline, fourth] = *control;
            $made(slot, tag, deadline, registers, fourth, has_segments)
        }
    };
}
pub(crate) use quick_message;

/// The control words, which are in the CPU, go where the simulated machine has them.
pub fn bare_answer(made: Bare<SavedRegisters>) -> Answer {
    if made.quick.way & (quick::SAVED | quick::DECLINED) == 0 {
        // SAFETY: the thread is about to go on in user mode.
        unsafe { &mut *made.quick.registers }.set_control(made.control);
    }
    made.quick
}

type Answer = Quick<SavedRegisters>;
type Other = extern "C-unwind" fn(u64, u64, u64, *mut SavedRegisters, u64) -> Answer;

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
        let (control, words) = unsafe { &*registers }.quick_call();
        let has_segments = segments::registers() != 0;
        let is_bare = control[1] >> 32 == 0 && !has_segments;
        let [first, second, third, fourth] = control;
        let other = |call: Other| call(first, second, third, registers, fourth);
        let quick = match Syscall::from_number(number) {
            Some(Syscall::Null) => other(orbital_null),
            Some(Syscall::ThreadYield) => other(orbital_yield),
            Some(Syscall::NotificationSignal) => other(orbital_signal),
            Some(Syscall::NotificationWait) => other(orbital_await_signal),
            Some(Syscall::Call) => {
                let call = if is_bare { orbital_call_bare } else { orbital_call };
                call(&control, registers, has_segments)
            }
            Some(Syscall::ReplyReceive) => {
                let call = if is_bare { orbital_reply_receive_bare } else { orbital_reply_receive };
                call(&control, registers, has_segments)
            }
            _ => return orbital_syscall(registers, number),
        };
        let Quick { registers, way } = quick;
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
