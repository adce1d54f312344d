//! Floating-point registers of user threads: one number stands for all of them.

use core::{alloc::Layout, cell::Cell, ptr::NonNull};

use super::cpu::Each;
use crate::percpu::MAX_CPUS;

std::thread_local! {
    /// A CPU's registers; `None` while their use traps.
    static REGISTERS: Each<Cell<Option<u64>>> =
        const { Each::new([const { Cell::new(None) }; MAX_CPUS]) };
}

/// One thread's registers, while it does not run.
#[derive(Debug)]
pub struct FpuState(u64);

/// The registers' value after reset.
pub const AFTER_RESET: u64 = 0x037f;

impl FpuState {
    /// What an area takes.
    pub fn layout() -> Layout {
        Layout::new::<[u64; 72]>()
    }

    /// Makes the next floating-point instruction trap.
    pub fn forbid() {
        REGISTERS.with(|registers| registers.here().set(None));
    }

    /// The registers' values after reset. This machine needs no area.
    ///
    /// # Safety
    /// None is needed: it is as on the real machine.
    pub unsafe fn new(_area: NonNull<u8>) -> Self {
        Self(AFTER_RESET)
    }

    /// Keeps the registers of the thread that leaves this CPU.
    ///
    /// # Panics
    /// When their use traps: they are not that thread's.
    pub fn save(&mut self) {
        self.0 = registers().expect("floating point is saved while it traps");
    }

    /// Loads the registers for the thread that comes, and lets it use them.
    pub fn restore(&self) {
        set_registers(self.0);
    }
}

/// What the running program finds in the registers; `None` where their use traps.
pub fn registers() -> Option<u64> {
    REGISTERS.with(|registers| registers.here().get())
}

/// The running program computes. The use must not trap.
pub fn set_registers(value: u64) {
    REGISTERS.with(|registers| registers.here().set(Some(value)));
}

/// All CPUs' as after boot.
pub(super) fn reset() {
    REGISTERS.with(|registers| registers.all().for_each(|registers| registers.set(None)));
}
