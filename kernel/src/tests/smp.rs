//! Runs on several CPUs. The fixture looks after each step whether a thread is in two places, when all
//! sleep whether somebody was forgotten, and at the end whether everything is back.
#![forbid(unsafe_code)]

mod faults;
mod kills;
mod points;
mod random;
mod signals;
mod spaces;
mod timers;
mod wakes;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use super::{cpus::Random, kernel::Kernel, user};
use crate::{object::Ref, process::Process, thread::Tcb};

/// A thread that was not started, and runs on `cpu` alone.
fn pinned(
    kernel: &mut Kernel,
    process: &Ref<Process>,
    cpu: usize,
    priority: u8,
    program: impl Future<Output = ()> + 'static,
) -> Ref<Tcb> {
    let thread = kernel.thread(process, priority, async {
        program.await;
        0
    });
    // Nobody else has heard of it.
    thread.set_home(cpu);
    thread.ask_affinity(1 << cpu);
    thread
}

/// Computes for ever.
async fn spin() {
    loop {
        user::work(10_000).await;
    }
}

/// Plays `run` for each seed, and says which one failed. One alone is played where the environment
/// names it: `SEED=7 cargo test ...`.
fn with_seeds(count: u64, run: impl Fn(u64)) {
    let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..count, |seed: u64| seed..seed + 1);
    for seed in seeds {
        if let Err(failure) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            println!("failed with SEED={seed}");
            resume_unwind(failure);
        }
    }
}

/// A sequence for the choices of the test itself.
fn choices(seed: u64) -> Random {
    Random::new(seed ^ 0x5eed_5eed)
}
