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
//!   ([`apic::aside`]).
//!
//! Another one can't come before its `iretq`: nothing in it raises an exception, whose return would
//! open the door.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{SavedRegisters, apic, clock, idle, smp};
use crate::{arch::NmiCounts, log::Deferred};

/// Between two lines in the log, in nanoseconds.
pub const LINE_INTERVAL: u64 = 100_000_000;

unsafe extern "C" {
    safe static kernel_entry_start: u8;
    safe static kernel_entry_end: u8;
}

static IN_USER: AtomicU64 = AtomicU64::new(0);
static IN_KERNEL: AtomicU64 = AtomicU64::new(0);
static IN_ENTRY: AtomicU64 = AtomicU64::new(0);
/// When the next line may be written.
static NEXT_LINE: AtomicU64 = AtomicU64::new(0);
static LINE: Deferred = Deferred::new(report);

/// How many have come, on all CPUs.
pub fn counts() -> NmiCounts {
    NmiCounts {
        in_user: IN_USER.load(Relaxed),
        in_kernel: IN_KERNEL.load(Relaxed),
        in_entry: IN_ENTRY.load(Relaxed),
    }
}

fn report() {
    let NmiCounts { in_user, in_kernel, in_entry } = counts();
    log::warn!(target: "arch",
        "non-maskable interrupts so far: {in_user} in programs, {in_kernel} in the kernel, \
         {in_entry} in its entry code");
}

/// One has come while the CPU had `registers`.
pub fn came(registers: &mut SavedRegisters) {
    if smp::is_stopping() {
        idle::stop();
    }
    let entry = &raw const kernel_entry_start as u64..&raw const kernel_entry_end as u64;
    let count = if registers.is_user() {
        &IN_USER
    } else if entry.contains(&registers.rip) {
        &IN_ENTRY
    } else {
        &IN_KERNEL
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
