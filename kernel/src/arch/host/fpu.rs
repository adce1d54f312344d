//! Floating-point registers of user threads: one number stands for all of them.
#![forbid(unsafe_code)]

use core::cell::Cell;

use orbital_abi::Error;

std::thread_local! {
    /// This CPU's registers, and whether their next use traps.
    static REGISTERS: Cell<u64> = const { Cell::new(0) };
    static FORBIDDEN: Cell<bool> = const { Cell::new(true) };
}

/// One thread's registers, while it does not run.
#[derive(Debug)]
pub struct FpuState(u64);

/// The registers' value after reset.
pub const AFTER_RESET: u64 = 0x037f;

impl FpuState {
    /// Bytes that an area takes.
    pub fn bytes() -> usize {
        576
    }

    /// Makes the next floating-point instruction trap.
    pub fn forbid() {
        FORBIDDEN.set(true);
    }

    /// An area with the registers' values after reset.
    ///
    /// # Errors
    /// None on this machine.
    pub fn new() -> Result<Self, Error> {
        Ok(Self(AFTER_RESET))
    }

    /// Keeps the registers of the thread that leaves this CPU.
    ///
    /// # Panics
    /// When their use traps: they are not that thread's.
    pub fn save(&mut self) {
        assert!(!FORBIDDEN.get(), "floating point is saved while it traps");
        self.0 = REGISTERS.get();
    }

    /// Loads the registers for the thread that comes, and lets it use them.
    pub fn restore(&self) {
        FORBIDDEN.set(false);
        REGISTERS.set(self.0);
    }
}

/// What the running program finds in the registers; `None` where their use traps.
pub fn registers() -> Option<u64> {
    (!FORBIDDEN.get()).then(|| REGISTERS.get())
}

/// The running program computes. The use must not trap.
pub fn set_registers(value: u64) {
    REGISTERS.set(value);
}
