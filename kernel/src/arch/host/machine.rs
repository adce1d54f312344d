//! The right to play CPU 0, and with it to use what the kernel has only once.
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use super::{FpuState, boot, clock, cpu, idle, paging, serial, timer};

static ONE: Mutex<()> = Mutex::new(());
static BOOT: Once = Once::new();

/// Host thread that plays CPU 0 until this is dropped. Whoever uses the kernel's globals (frames,
/// object counts, queues, the dispatcher) holds it, so that tests don't disturb each other.
#[must_use = "the machine is somebody else's once this is dropped"]
pub struct Machine {
    _only: MutexGuard<'static, ()>,
}

/// Waits until no other host thread plays CPU 0, and does. The first time, memory is started. What
/// a CPU has is as after boot; what the kernel has is as the last holder left it.
pub fn machine() -> Machine {
    // A test that failed has given the kernel back, or says so itself.
    let only = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    cpu::set_first(true);
    reset();
    BOOT.call_once(|| boot::init_memory(&boot::boot_info()));
    Machine { _only: only }
}

impl Drop for Machine {
    fn drop(&mut self) {
        reset();
        cpu::set_first(false);
    }
}

fn reset() {
    clock::reset();
    timer::disarm();
    idle::reset();
    paging::reset();
    FpuState::forbid();
    serial::take();
}
