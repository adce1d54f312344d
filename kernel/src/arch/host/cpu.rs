//! Which CPU a host thread plays. Variables of a CPU are not made for two host threads at once, so
//! no two have the same number: CPU 0 is [`machine`](super::machine())'s, the others are given out
//! to whoever asks, until their thread ends.
#![forbid(unsafe_code)]

use core::{
    cell::{Cell, OnceCell},
    ptr,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use super::SavedRegisters;
use crate::percpu::MAX_CPUS;

/// One bit for each CPU that a host thread plays; CPU 0's is the machine's lock.
static PLAYED: AtomicU32 = AtomicU32::new(1);

std::thread_local! {
    static IS_FIRST: Cell<bool> = const { Cell::new(false) };
    static OTHER: OnceCell<Other> = const { OnceCell::new() };
    static CURRENT: Cell<*mut SavedRegisters> = const { Cell::new(ptr::null_mut()) };
}

/// A CPU above 0 that this host thread plays until it ends.
struct Other(usize);

impl Other {
    /// The lowest number that nobody has. Waits where all are taken.
    fn take() -> Self {
        loop {
            let free = PLAYED.load(SeqCst).trailing_ones();
            if (free as usize) < MAX_CPUS && PLAYED.fetch_or(1 << free, SeqCst) & 1 << free == 0 {
                return Self(free as usize);
            }
            std::thread::yield_now();
        }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        PLAYED.fetch_and(!(1 << self.0), SeqCst);
    }
}

/// The index of the CPU that calls, below [`MAX_CPUS`].
pub fn cpu_index() -> usize {
    if IS_FIRST.get() { 0 } else { OTHER.with(|other| other.get_or_init(Other::take).0) }
}

/// This host thread plays CPU 0, or does so no longer.
pub(super) fn set_first(is_first: bool) {
    IS_FIRST.set(is_first);
    CURRENT.set(ptr::null_mut());
}

/// Tells the entry code where the registers of the thread that runs next are stored.
pub fn set_current(registers: *mut SavedRegisters) {
    CURRENT.set(registers);
}

/// Where the entry code would store registers now.
pub fn current_registers() -> *mut SavedRegisters {
    CURRENT.get()
}
