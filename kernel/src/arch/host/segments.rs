//! Segment registers of user threads: one number stands for all of them.
#![forbid(unsafe_code)]

use core::cell::Cell;

use super::cpu::Each;
use crate::percpu::MAX_CPUS;

std::thread_local! {
    /// A CPU's registers.
    static REGISTERS: Each<Cell<u64>> = const { Each::new([const { Cell::new(0) }; MAX_CPUS]) };
}

/// One thread's segment registers, while it does not run.
#[derive(Debug, Default)]
pub struct UserSegments(u64);

impl UserSegments {
    /// Those of a new thread.
    pub const fn new() -> Self {
        Self(0)
    }

    /// Whether they are null.
    pub fn are_null(&self) -> bool {
        self.0 == 0
    }

    /// Keeps the registers of the thread that leaves this CPU.
    pub fn save(&mut self) {
        self.0 = registers();
    }

    /// Keeps the registers of the thread that leaves this CPU, and loads those of the one that comes.
    pub fn switch(&mut self, next: &Self) {
        self.save();
        next.restore();
    }

    /// Loads the registers for the thread that comes.
    pub fn restore(&self) {
        set_registers(self.0);
    }
}

/// What the running program finds in the registers.
pub fn registers() -> u64 {
    REGISTERS.with(|registers| registers.here().get())
}

/// The running program loads a segment, which the kernel is not told.
pub fn set_registers(value: u64) {
    REGISTERS.with(|registers| registers.here().set(value));
}
