//! Which CPU a host thread plays. Variables of a CPU are not made for two host threads at once, so
//! no two have the same number: CPUs up to [`OUTSIDE`] are [`machine`](super::machine())'s,
//! whose host thread plays them in turns; the others are given out to whoever asks, until their
//! thread ends.
#![forbid(unsafe_code)]

use core::{
    cell::{Cell, OnceCell},
    ptr,
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use super::{SavedRegisters, idle, race};
use crate::{arch::Trap, boot::BootInfo, percpu::MAX_CPUS};

/// How many CPUs the machine can have.
pub const MACHINE_CPUS: usize = 4;
/// The number of a CPU that runs nothing: what a test does while it plays this one comes to all of the
/// machine's from outside.
pub const OUTSIDE: usize = MACHINE_CPUS;

/// One bit for each CPU that a host thread plays; the machine has its own for good.
static PLAYED: AtomicU32 = AtomicU32::new((2 << OUTSIDE) - 1);

std::thread_local! {
    /// Which of the machine's CPUs this host thread plays.
    static PLAYING: Cell<Option<usize>> = const { Cell::new(None) };
    static COUNT: Cell<usize> = const { Cell::new(1) };
    static OTHER: OnceCell<Other> = const { OnceCell::new() };
    static CURRENT: Each<Cell<*mut SavedRegisters>> =
        const { Each::new([const { Cell::new(ptr::null_mut()) }; MAX_CPUS]) };
}

/// One value for each CPU that a host thread can play.
pub(super) struct Each<T>([T; MAX_CPUS]);

impl<T> Each<T> {
    pub(super) const fn new(values: [T; MAX_CPUS]) -> Self {
        Self(values)
    }

    /// The value of the CPU that is being played.
    pub(super) fn here(&self) -> &T {
        &self.0[index()]
    }

    pub(super) fn of(&self, cpu: usize) -> &T {
        &self.0[cpu]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

/// A CPU above the machine's that this host thread plays until it ends.
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
    race::point();
    index()
}

/// The same for who may hold a lock: no point for others to go on, who would wait for it for ever.
pub fn cpu_index_locked() -> usize {
    index()
}

/// The same, for the machine itself.
pub(super) fn index() -> usize {
    PLAYING.get().unwrap_or_else(|| OTHER.with(|other| other.get_or_init(Other::take).0))
}

/// How many CPUs are up.
pub fn cpu_count() -> usize {
    race::point();
    COUNT.get()
}

/// The same for who may hold a lock.
pub fn cpu_count_locked() -> usize {
    COUNT.get()
}

/// This host thread plays one of the machine's CPUs, or none any longer.
pub(super) fn set_playing(cpu: Option<usize>) {
    PLAYING.set(cpu);
}

/// Which CPU this host thread plays. No point for others to go on, unlike [`cpu_index`].
pub fn playing() -> usize {
    index()
}

/// From here on this host thread plays CPU `cpu` of the machine, or [`OUTSIDE`].
///
/// # Panics
/// When it does not have the machine, or that has no such CPU.
pub fn play(cpu: usize) {
    assert!(PLAYING.get().is_some() && cpu <= OUTSIDE, "cpu{cpu} is not the machine's");
    PLAYING.set(Some(cpu));
}

/// The machine has so many CPUs.
///
/// # Panics
/// When it can't have that many.
pub fn set_count(count: usize) {
    assert!((1..=MACHINE_CPUS).contains(&count), "{count} CPUs");
    COUNT.set(count);
}

/// The other CPUs are there from the beginning.
pub fn start_others(_boot_info: &BootInfo) {}

/// The other CPUs stand still while this one is played.
pub fn stop_others() {}

/// Makes CPU `cpu`, another one, look at its queues: an interrupt waits there until it is let in.
/// Several at once are one.
///
/// # Panics
/// When there is no such CPU.
pub fn kick(cpu: usize) {
    race::point();
    assert!(cpu < COUNT.get() && cpu != index(), "cpu{} kicks cpu{cpu}", index());
    idle::request_interrupt_of(cpu, Trap::Kick);
}

/// As after boot, with one CPU.
pub(super) fn reset() {
    COUNT.set(1);
    CURRENT.with(|current| current.all().for_each(|current| current.set(ptr::null_mut())));
}

/// Tells the entry code where the registers of the thread that runs next are stored.
pub fn set_current(registers: *mut SavedRegisters) {
    CURRENT.with(|current| current.here().set(registers));
}

/// Where the entry code would store registers now.
pub fn current_registers() -> *mut SavedRegisters {
    CURRENT.with(|current| current.here().get())
}
