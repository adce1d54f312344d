//! The kernel's counters.

/// A counter that [`SystemStatistics`](crate::Syscall::SystemStatistics) reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Statistic {
    /// Free physical frames of 4 KiB.
    FreeFrames = 0,
    /// Physical frames that the frame allocator has, free or not.
    TotalFrames = 1,
    /// Bytes of kernel memory in use: objects, each rounded up to its slab's class, and the heap.
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
    /// Whole frames that the loader's memory map calls usable, with those that the kernel, its tables
    /// and its modules take.
    ReportedFrames = 14,
    /// Free frames that CPUs have at hand; they are among [`Self::FreeFrames`].
    CachedFrames = 15,
    /// Frames of the largest free block, but for those at hand: a power of two, or 0.
    LargestFreeBlock = 16,
    /// Replies that are kept.
    Replies = 17,
    /// How often the kernel has taken memory for an object or from its heap, since boot.
    HeapAllocations = 20,
    /// Objects that stand for ranges of I/O ports.
    IoPorts = 21,
    /// Interrupt lines that are taken.
    Interrupts = 22,
    /// Interrupts that came by lines that nobody had bound, since boot.
    StrayInterrupts = 23,
    /// CPUs that are up.
    Cpus = 40,
    /// How long the CPU in control word 2 has slept since boot, in nanoseconds.
    IdleTime = 41,
}

impl Statistic {
    /// All counters, in the order of their numbers.
    pub const ALL: [Self; 24] = [
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
        Self::ReportedFrames,
        Self::CachedFrames,
        Self::LargestFreeBlock,
        Self::Replies,
        Self::HeapAllocations,
        Self::IoPorts,
        Self::Interrupts,
        Self::StrayInterrupts,
        Self::Cpus,
        Self::IdleTime,
    ];

    /// The counter with this number, if there is one.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|statistic| *statistic as u64 == number)
    }
}
