//! Runs on several CPUs. The fixture looks after each step whether a thread is in two places, when all
//! sleep whether somebody was forgotten, and at the end whether everything is back.
#![forbid(unsafe_code)]

mod bound;
mod deserted;
mod direct;
mod disowned;
mod faults;
mod kills;
mod lines;
mod points;
mod random;
mod replies;
mod signals;
mod spaces;
mod sweeps;
mod timers;
mod untied;
mod wakes;

use super::{cpus::Random, kernel::Kernel, seeds::with_seeds, user};
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

/// A sequence for the choices of the test itself.
fn choices(seed: u64) -> Random {
    Random::new(seed ^ 0x5eed_5eed)
}
