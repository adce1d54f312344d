//! What a trace leaves behind: with `trace_dump=1` on the command line all rings go out by the debug console at the
//! machine's end, for `cargo run -- --trace`. What stands there, `orbital_abi::trace` says.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use orbital_abi::trace::{DUMP_MAGIC, Event, EventKind};

use super::{RINGS, Who, read};
use crate::{
    arch::{self, clock, debug_console},
    boot::CommandLine,
    percpu::MAX_CPUS,
};

/// Whether one is wanted, and has not begun.
static WANTED: AtomicBool = AtomicBool::new(false);

pub(super) fn init(command_line: &CommandLine) {
    WANTED.store(command_line.get("trace_dump") == Some("1"), Relaxed);
}

/// A dump that has begun.
pub struct Dump(());

impl Dump {
    /// Begins it, if it is wanted. Once: what goes wrong meanwhile does not begin another one.
    pub fn begin() -> Option<Self> {
        WANTED.swap(false, Relaxed).then(|| {
            debug_console::write(&DUMP_MAGIC);
            Self(())
        })
    }

    /// A process that there is.
    pub fn name(&self, process: u64, name: &str) {
        let who = Who { thread: 0, process };
        self.event(&now(EventKind::ProcessName, who, name_arguments(name)));
    }

    /// All that the rings have by now. A CPU that goes on meanwhile writes events that are left out.
    pub fn rings(self) {
        for cpu in 0..MAX_CPUS {
            let Some(ring) = RINGS.of(cpu).get() else { continue };
            let (mut next, end) = (0, ring.count());
            while next < end
                && let Some(traced) = read(cpu, next)
            {
                if traced.lost > 0 {
                    let Event { time, .. } = traced.event;
                    let lost = now(EventKind::Lost, Who::default(), [traced.lost, 0, 0]);
                    self.event(&Event { time, cpu: cpu as u8, ..lost });
                }
                self.event(&traced.event);
                next = traced.next;
            }
        }
    }

    fn event(&self, event: &Event) {
        for word in event.encode() {
            debug_console::write(&word.to_le_bytes());
        }
    }
}

fn now(kind: EventKind, Who { thread, process }: Who, arguments: [u64; 3]) -> Event {
    let cpu = arch::cpu_index_locked() as u8;
    let time = clock::nanoseconds_at(clock::ticks());
    Event { time, cpu, kind, thread, process, arguments }
}

/// A process's name as arguments of an event.
pub fn name_arguments(name: &str) -> [u64; 3] {
    let mut words = [0; 3];
    for (place, byte) in name.bytes().take(16).enumerate() {
        words[place / 8] |= u64::from(byte) << (8 * (place % 8));
    }
    words
}
