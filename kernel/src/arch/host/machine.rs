//! The right to play the machine's CPUs, and with it to use what the kernel has only once.
#![forbid(unsafe_code)]

use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use super::{boot, clock, cpu, fpu, idle, lines, paging, port, race, serial, timer};

static ONE: Mutex<()> = Mutex::new(());
static BOOT: Once = Once::new();

/// The host thread plays CPU 0, or several by [`play`](super::play), until this is dropped. Whoever uses the kernel's globals (frames,
/// object counts, queues, the dispatcher) holds it, so that tests don't disturb each other.
#[must_use = "the machine is somebody else's once this is dropped"]
pub struct Machine {
    _only: MutexGuard<'static, ()>,
}

/// Waits until no other host thread has the machine, and plays its CPU 0. The first time, memory is started. What
/// a CPU has is as after boot; what the kernel has, and the time, is as the last holder left it.
pub fn machine() -> Machine {
    // A test that failed has given the kernel back, or says so itself.
    let only = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    cpu::set_playing(Some(0));
    clock::take_over();
    reset();
    BOOT.call_once(|| boot::init_memory(&boot::boot_info()));
    Machine { _only: only }
}

impl Drop for Machine {
    fn drop(&mut self) {
        reset();
        clock::give_back();
        cpu::set_playing(None);
    }
}

fn reset() {
    race::reset();
    cpu::reset();
    timer::reset();
    idle::reset();
    lines::reset();
    port::reset();
    paging::reset();
    fpu::reset();
    serial::take();
}
