//! Runs that a seed decides: the same seed, the same run.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Plays `run` for each seed, and says which one failed. One alone is played where the environment
/// names it: `SEED=7 cargo test ...`.
pub fn with_seeds(count: u64, run: impl Fn(u64)) {
    let only = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(0..count, |seed: u64| seed..seed + 1);
    for seed in seeds {
        if let Err(failure) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            println!("failed with SEED={seed}");
            resume_unwind(failure);
        }
    }
}

/// How many of `full` seeds are played: all with `ORBITAL_SOAK` in the environment, a tenth otherwise.
pub fn scaled(full: u64) -> u64 {
    if std::env::var_os("ORBITAL_SOAK").is_some() { full } else { full / 10 }
}
