//! What the kernel can do but return to a program. The real machine never comes back from it; here
//! the kernel's stack is unwound to whoever let it run.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{SavedRegisters, current_registers, idle, race};

/// Why the kernel did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It entered user mode for the first time.
    User,
    /// It has nothing to do, and nothing will come; where CPUs are played in turns, nothing has come
    /// for this one.
    Idle,
    /// It has let interrupts in and goes on, where CPUs are played in turns.
    Window,
    /// It powered off with this verdict.
    Off(u8),
    /// It started the machine anew.
    Reset,
    /// It stopped its CPU.
    Halted,
}

impl Stop {
    /// Leaves the kernel. No message is printed: this is no panic.
    pub(super) fn raise(self) -> ! {
        resume_unwind(Box::new(self))
    }
}

/// Lets the kernel run until it goes to user mode; gives the registers that it goes there with.
///
/// # Errors
/// The [`Stop`] that came first.
///
/// # Panics
/// When the kernel panics, or leaves with other registers than the current thread's.
pub fn run(kernel: impl FnOnce() -> *mut SavedRegisters) -> Result<*mut SavedRegisters, Stop> {
    idle::open_no_window();
    let left = match catch_unwind(AssertUnwindSafe(|| race::within(kernel))) {
        Ok(registers) => registers,
        Err(payload) => match payload.downcast::<Stop>() {
            Ok(stop) if *stop == Stop::User => current_registers(),
            Ok(stop) => return Err(*stop),
            Err(panic) => resume_unwind(panic),
        },
    };
    assert_eq!(left, current_registers(), "the kernel leaves with another thread's registers");
    Ok(left)
}
