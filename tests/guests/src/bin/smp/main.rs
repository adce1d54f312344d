//! Threads on every CPU: all run at once, each where it may, and what they share stays whole.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

mod affinity;
mod moving;
mod pinned;
mod together;

extern crate alloc;

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use guests::{
    cpus::{here, until},
    suite,
    workers::Own,
};

use affinity::*;
use moving::*;
use pinned::*;
use together::*;

suite! {
    parallel: [
        all_cpus_run_at_once,
        a_pinned_thread_never_runs_elsewhere,
        a_thread_moves_itself,
        a_running_thread_is_moved,
        a_ready_thread_is_moved,
        a_blocked_thread_is_moved,
        a_thread_not_started_is_moved,
        a_suspended_thread_is_moved,
        an_affinity_without_a_cpu_is_refused,
        an_affinity_with_absent_cpus_too_is_kept,
        threads_and_children_inherit_the_affinity,
        sixteen_threads_use_the_heap,
        sixteen_threads_share_a_mutex,
        memory_is_shared_across_cpus,
    ],
    roles: [tells_where_it_is],
}

/// States as [`Inspection`] gives them.
const WOKEN: u64 = 1;
const BLOCKED: u64 = 4;

/// How often what a case repeats is repeated.
static TURNS: AtomicU64 = AtomicU64::new(0);

static SEEN: AtomicUsize = AtomicUsize::new(0);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn shows_where(_: &Own) {
    loop {
        SEEN.store(here(), SeqCst);
        COUNT.fetch_add(1, SeqCst);
    }
}

/// Where a thread that [`shows_where`] is from now on.
fn shown() -> usize {
    // What was on its way is shown by the next count, what comes after by the one behind that.
    let now = COUNT.load(SeqCst);
    until(|| COUNT.load(SeqCst) >= now + 2);
    SEEN.load(SeqCst)
}

fn notes_where(_: &Own) {
    SEEN.store(here(), SeqCst);
    COUNT.fetch_add(1, SeqCst);
}
