//! How a benchmark is measured: the time-stamp counter is read before and after, again and again, and
//! each difference is a sample. The host's side makes figures of them.

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use orbital_user::println;

/// How often what is measured runs before the first sample: tables, heaps and caches have their size
/// then.
const WARM_UP: usize = 10;
/// How many samples there are, where each takes some hundred instructions.
pub const MANY: usize = 100;
/// How many, where each takes many thousands.
pub const FEW: usize = 20;
/// How many stand in one line of the log, so that it is not too long: see `LOG_BYTES` of the ABI.
const PER_LINE: usize = 16;

/// What a benchmark found.
pub struct Samples {
    overhead: u64,
    per: u64,
    samples: Vec<u64>,
}

/// The time-stamp counter.
#[inline(always)]
pub fn ticks() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: every CPU with 64-bit mode has the counter, and the kernel lets programs read it. Nothing
    // moves across: for all that the compiler knows, it touches memory.
    unsafe { core::arch::asm!("rdtsc", out("rax") low, out("rdx") high, options(nostack)) };
    high << 32 | low
}

/// Takes `count` samples of `operation`, which gives a system call's code.
///
/// # Panics
/// When one of the calls fails.
#[track_caller]
pub fn measure(count: usize, operation: impl FnMut() -> u64) -> Samples {
    measure_and(count, operation, || ())
}

/// The same; after each sample `clean_up` runs, which is no part of it.
#[track_caller]
pub fn measure_and(
    count: usize,
    operation: impl FnMut() -> u64,
    clean_up: impl FnMut(),
) -> Samples {
    Samples { overhead: overhead(), per: 1, samples: take(count, operation, clean_up) }
}

#[track_caller]
#[inline(always)]
fn take(count: usize, mut operation: impl FnMut() -> u64, mut clean_up: impl FnMut()) -> Vec<u64> {
    // What is measured must not make the heap grow.
    let mut samples = Vec::with_capacity(count);
    for round in 0..WARM_UP + count {
        let start = ticks();
        let code = operation();
        let end = ticks();
        assert_eq!(code, 0, "the call failed");
        clean_up();
        if round >= WARM_UP {
            samples.push(end - start);
        }
    }
    samples
}

/// What it takes to measure nothing: the least of many samples.
fn overhead() -> u64 {
    take(MANY, || 0, || ()).into_iter().min().unwrap_or(0)
}

/// The overhead as a benchmark of its own.
pub fn overhead_alone() -> Samples {
    Samples { overhead: 0, per: 1, samples: take(MANY, || 0, || ()) }
}

impl Samples {
    /// Of something that is no time between two readings of the counter.
    pub fn of(samples: Vec<u64>) -> Self {
        Self { overhead: 0, per: 1, samples }
    }

    /// Each sample does what the figure is about so many times.
    #[must_use]
    pub fn per(self, per: u64) -> Self {
        Self { per, ..self }
    }

    /// Tells the host.
    pub fn report(&self, name: &str) {
        println!("bench {name}: overhead {}, per {}", self.overhead, self.per);
        for line in self.samples.chunks(PER_LINE) {
            let mut text = String::new();
            for sample in line {
                // A string takes all that there is room for.
                let _ = write!(text, " {sample}");
            }
            println!("bench {name}: samples{text}");
        }
        println!("bench {name}: end, {} samples", self.samples.len());
    }
}
