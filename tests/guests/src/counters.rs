//! The kernel's counters, to see that nothing leaks.
#![forbid(unsafe_code)]

use orbital_user::{abi::statistics::Statistic, system};

use crate::threads::settle;

/// What must be the same before and after work that leaves nothing behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Free frames.
    pub free_frames: u64,
    /// Bytes of kernel heap in use.
    pub heap_bytes: u64,
    /// Processes, threads, endpoints, memory objects, notifications, timers.
    pub objects: [u64; 6],
}

impl Counters {
    /// The counters now.
    pub fn now() -> Self {
        let read = |statistic| system::statistic(statistic).expect("the right to read counters");
        Self {
            free_frames: read(Statistic::FreeFrames),
            heap_bytes: read(Statistic::HeapBytes),
            objects: [
                read(Statistic::Processes),
                read(Statistic::Threads),
                read(Statistic::Endpoints),
                read(Statistic::MemoryObjects),
                read(Statistic::Notifications),
                read(Statistic::Timers),
            ],
        }
    }
}

/// Does `work` once to warm up (the heap and tables of this process grow), then `rounds` times more,
/// after which the counters are what they were, once everything that has ended is cleaned up.
#[track_caller]
pub fn leaves_nothing(rounds: u32, mut work: impl FnMut()) {
    work();
    work();
    settle();
    let before = Counters::now();
    for _ in 0..rounds {
        work();
    }
    settle();
    assert_eq!(Counters::now(), before);
}
