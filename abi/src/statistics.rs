//! The kernel's counters.

/// A counter that [`SystemStatistics`](crate::Syscall::SystemStatistics) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Statistic {
    /// Free physical frames of 4 KiB.
    FreeFrames = 0,
    /// Usable physical frames, free or not.
    TotalFrames = 1,
    /// Bytes of the kernel heap in use.
    HeapBytes = 2,
    /// Processes that exist.
    Processes = 3,
    /// Threads that exist.
    Threads = 4,
    /// Endpoints that exist.
    Endpoints = 5,
    /// Memory objects that exist.
    MemoryObjects = 6,
    /// Timer interrupts taken.
    TimerInterrupts = 7,
    /// Switches from one thread to another.
    ContextSwitches = 8,
    /// Uses of a stale capability.
    StaleCapabilities = 9,
    /// Non-maskable interrupts taken, by all CPUs.
    NonMaskableInterrupts = 10,
    /// Different instructions between user mode and the kernel that they have hit.
    NonMaskableInterruptPlaces = 11,
    /// Notifications that exist.
    Notifications = 12,
    /// Timers that exist.
    Timers = 13,
}

impl Statistic {
    /// All counters, in the order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::FreeFrames,
        Self::TotalFrames,
        Self::HeapBytes,
        Self::Processes,
        Self::Threads,
        Self::Endpoints,
        Self::MemoryObjects,
        Self::TimerInterrupts,
        Self::ContextSwitches,
        Self::StaleCapabilities,
        Self::NonMaskableInterrupts,
        Self::NonMaskableInterruptPlaces,
        Self::Notifications,
        Self::Timers,
    ];

    /// The counter with this number, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|statistic| *statistic as u64 == number)
    }
}
