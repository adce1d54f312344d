//! The ways into the kernel, which it offers by symbol, and the first way out.

use orbital_abi::Syscall;

use super::{SavedRegisters, Stop, current_registers, segments, set_current};
use crate::arch::{
    Trap,
    quick::{self, Bare, Quick},
};

type Made = Option<Quick<SavedRegisters>>;
type Call = fn(*mut SavedRegisters, [u64; 4], bool) -> Made;

unsafe extern "C-unwind" {
    /// A system call of the current thread, whose registers hold its arguments.
    safe fn orbital_syscall(registers: *mut SavedRegisters, number: u64) -> *mut SavedRegisters;
    /// The dispatcher's turn, after a quick one.
    safe fn orbital_turn(
        registers: *mut SavedRegisters,
        way: u64,
        words: &[u64; 6],
    ) -> *mut SavedRegisters;
}

unsafe extern "Rust" {
    /// The quick ones: the registers, the control words, and whether there are segments.
    safe fn orbital_null(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
    safe fn orbital_yield(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
    safe fn orbital_signal(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
    safe fn orbital_await_signal(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
    safe fn orbital_call(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
    safe fn orbital_call_bare(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
    safe fn orbital_reply_receive(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
    safe fn orbital_reply_receive_bare(_: *mut SavedRegisters, _: [u64; 4], _: bool) -> Made;
}

/// Defines `$name`: how `$_number` is made where it brings no words. See x86_64.
macro_rules! quick_call {
    ($_number:ident, $name:ident = $made:path $(, if $may_be:path)?) => {
        #[unsafe(no_mangle)]
        fn $name(
            registers: *mut $crate::arch::SavedRegisters,
            control: [u64; 4],
            has_segments: bool,
        ) -> Option<$crate::arch::quick::Quick<$crate::arch::SavedRegisters>> {
            $(if !$may_be(control) {
                return None;
            })?
            $made(registers, control, has_segments).map($crate::arch::host::without_words)
        }
    };
}
pub(crate) use quick_call;

/// The same where there may be words, and where there is more than words in registers.
macro_rules! quick_message {
    ($_number:ident, $name:ident = $made:path, $_long:ident = $made_long:path) => {
        #[unsafe(no_mangle)]
        fn $name(
            registers: *mut $crate::arch::SavedRegisters,
            control: [u64; 4],
            has_segments: bool,
        ) -> Option<$crate::arch::quick::Quick<$crate::arch::SavedRegisters>> {
            match orbital_abi::Tag::short_from_bits(control[1]) {
                Some(_) => $made(registers, control, has_segments),
                None => $made_long(registers, control, has_segments),
            }
        }
    };
}
pub(crate) use quick_message;

/// The control words, which are in the CPU, go where the simulated machine has them.
pub fn without_words(made: Bare<SavedRegisters>) -> Quick<SavedRegisters> {
    if made.quick.way != quick::SAVED {
        // SAFETY: the thread is about to go on in user mode.
        unsafe { &mut *made.quick.registers }.set_control(made.control);
    }
    made.quick
}

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
        let quick: Call = match Syscall::from_number(number) {
            Some(Syscall::Null) => |r, c, s| orbital_null(r, c, s),
            Some(Syscall::ThreadYield) => |r, c, s| orbital_yield(r, c, s),
            Some(Syscall::NotificationSignal) => |r, c, s| orbital_signal(r, c, s),
            Some(Syscall::NotificationWait) => |r, c, s| orbital_await_signal(r, c, s),
            Some(Syscall::Call) if is_bare => |r, c, s| orbital_call_bare(r, c, s),
            Some(Syscall::Call) => |r, c, s| orbital_call(r, c, s),
            Some(Syscall::ReplyReceive) if is_bare => |r, c, s| orbital_reply_receive_bare(r, c, s),
            Some(Syscall::ReplyReceive) => |r, c, s| orbital_reply_receive(r, c, s),
            _ => return orbital_syscall(registers, number),
        };
        let Some(Quick { registers, way }) = quick(registers, control, has_segments) else {
            return orbital_syscall(registers, number);
        };
        match way {
            quick::SAVED => registers,
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
