//! Non-maskable interrupts: from the machine (a board that found an error, a button, QEMU's monitor)
//! or from a CPU that panics and stops the others. They come anywhere, the entry code included.
//!
//! What the handler does is done between any two instructions of the kernel's, so it takes no lock,
//! no memory and no number of steps that depends on who was interrupted:
//!
//! - it counts by where it came, in atomics;
//! - at most ten times a second it asks for a line in the log ([`crate::log::Deferred`]: never more
//!   than one of them waits, so a storm neither floods the log nor fills the queue);
//! - a command to the interrupt controller that it has come into the middle of is put together again
//!   (`apic::aside`).
//!
//! Another one can't come before its `iretq`: nothing in it raises an exception, whose return would
//! open the door.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{SavedRegisters, apic, clock, entry, idle, smp};
use crate::{
    arch::NmiCounts,
    log::Deferred,
    percpu::{MAX_CPUS, PerCpu},
};

/// Between two lines in the log, in nanoseconds.
pub const LINE_INTERVAL: u64 = 100_000_000;

/// What one CPU has taken.
struct Taken {
    in_user: AtomicU64,
    in_kernel: AtomicU64,
    in_entry: AtomicU64,
}

static TAKEN: PerCpu<Taken> = PerCpu::new(
    [const {
        Taken {
            in_user: AtomicU64::new(0),
            in_kernel: AtomicU64::new(0),
            in_entry: AtomicU64::new(0),
        }
    }; MAX_CPUS],
);
/// A bit for each byte of the entry code that one hit.
static HIT: [AtomicU64; 128] = [const { AtomicU64::new(0) }; 128];
/// When the next line may be written.
static NEXT_LINE: AtomicU64 = AtomicU64::new(0);
static LINE: Deferred = Deferred::new(report);

/// How many have come, on all CPUs.
pub fn counts() -> NmiCounts {
    let sum = |of: fn(&Taken) -> &AtomicU64| {
        (0..smp::cpu_count()).map(|cpu| of(TAKEN.of(cpu)).load(Relaxed)).sum()
    };
    NmiCounts {
        in_user: sum(|taken| &taken.in_user),
        in_kernel: sum(|taken| &taken.in_kernel),
        in_entry: sum(|taken| &taken.in_entry),
        places: HIT.iter().map(|word| u64::from(word.load(Relaxed).count_ones())).sum(),
    }
}

fn report() {
    let NmiCounts { in_user, in_kernel, in_entry, places } = counts();
    log::warn!(target: "arch",
        "non-maskable interrupts so far: {in_user} in programs, {in_kernel} in the kernel, \
         {in_entry} in its entry code, at {places} places");
}

/// For tests of what they do: lets one come to every CPU again and again.
pub use super::storm::start as start_storm;

/// One has come while the CPU had `registers`.
pub fn came(registers: &mut SavedRegisters) {
    if smp::is_stopping() {
        idle::stop();
    }
    let entry = entry::code();
    let taken = TAKEN.here();
    let count = if registers.is_user() {
        &taken.in_user
    } else if entry.contains(&registers.rip) {
        let place = (registers.rip - entry.start) as usize;
        if let Some(word) = HIT.get(place / 64) {
            word.fetch_or(1 << (place % 64), Relaxed);
        }
        &taken.in_entry
    } else {
        &taken.in_kernel
    };
    count.fetch_add(1, Relaxed);
    if registers.is_user() {
        registers.make_resumable();
    } else {
        registers.rip = idle::past_halt(registers.rip);
    }
    let now = clock::nanoseconds();
    if now >= NEXT_LINE.load(Relaxed) && apic::is_on() {
        NEXT_LINE.store(now + LINE_INTERVAL, Relaxed);
        apic::aside(|| {
            LINE.defer();
            // A wake takes it for granted that its own CPU will look before it leaves the kernel. This
            // one may be on its way out, or out.
            apic::kick_self();
        });
    }
}
