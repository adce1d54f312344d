//! The kernel's counters, to see that nothing leaks.
#![forbid(unsafe_code)]

use orbital_user::{abi::statistics::Statistic, system, thread::yield_now};

use crate::own_thread;

/// Where replies stand among [`Counters::objects`].
pub const REPLIES: usize = 6;

/// What must be the same before and after work that leaves nothing behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Free frames.
    pub free_frames: u64,
    /// Bytes of kernel heap in use.
    pub heap_bytes: u64,
    /// Processes, threads, endpoints, memory objects, notifications, timers, replies, I/O ports, interrupts.
    pub objects: [u64; 9],
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
                read(Statistic::Replies),
                read(Statistic::IoPorts),
                read(Statistic::Interrupts),
            ],
        }
    }
}

/// Lets everybody else on this CPU go on until there is nothing left to do, the kernel too: what has
/// ended is cleaned up then. For the first thread of a process. Makes no object, as there may be no room
/// for one.
fn calm_down() {
    let own = own_thread();
    let priority = own.inspect().expect("its own capability").priority;
    own.set_priority(0).expect("a lower priority");
    yield_now();
    own.set_priority(priority).expect("the priority that it had");
}

/// Does `work` once to warm up (the heap and tables of this process grow), then `rounds` times more,
/// after which the counters are what they were, once everything that has ended is cleaned up.
#[track_caller]
pub fn leaves_nothing(rounds: u32, mut work: impl FnMut()) {
    work();
    work();
    calm_down();
    let before = Counters::now();
    for _ in 0..rounds {
        work();
    }
    calm_down();
    assert_eq!(Counters::now(), before);
}
