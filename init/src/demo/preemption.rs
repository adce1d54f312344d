//! Two threads that never yield and need each other's progress: without the timer, neither would end.
#![forbid(unsafe_code)]

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use orbital_user::{println, thread};

use super::Failure;

/// How often each waits for the other.
const ROUNDS: u64 = 10;

/// Runs both to their ends.
pub fn check() -> Result<(), Failure> {
    let counters = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let start = |own: usize| {
        let counters = Arc::clone(&counters);
        thread::spawn(move || spin(&counters[own], &counters[1 - own]))
    };
    let one = start(0).map_err(Failure::of("starting a spinning thread"))?;
    let other = start(1).map_err(Failure::of("starting a spinning thread"))?;
    one.join().map_err(Failure::of("the first spinning thread"))?;
    other.join().map_err(Failure::of("the second spinning thread"))?;
    println!("preemption: two spinning threads took {ROUNDS} turns each");
    Ok(())
}

fn spin(own: &AtomicU64, other: &AtomicU64) {
    for round in 1..=ROUNDS {
        own.store(round, Ordering::Release);
        while other.load(Ordering::Acquire) < round {
            core::hint::spin_loop();
        }
    }
}
