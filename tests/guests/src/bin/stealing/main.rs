//! Where threads run that may run anywhere: no CPU sleeps while one waits for another CPU; and who runs
//! on a CPU when it is woken from another.
//!
//! The case itself stays on CPU 0, above all others. There, and where a case wants it elsewhere, a hog
//! spins that nobody below it gets past.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

mod pinned;
mod preempting;
mod spreading;
mod taking;

extern crate alloc;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use guests::{
    cpus::{self, MOST, bit, here, learn},
    own_thread, suite,
    workers::{Own, Worker},
};
use orbital_user::thread::yield_now;

use pinned::*;
use preempting::*;
use spreading::*;
use taking::*;

suite! {
    parallel: [
        a_ready_thread_is_taken_by_an_idle_cpu,
        a_cpu_that_becomes_idle_takes_a_ready_thread,
        a_thread_woken_on_a_busy_cpu_is_taken_by_an_idle_one,
        a_thread_woken_on_a_busy_cpu_is_taken_by_one_that_becomes_idle,
        a_thread_for_some_cpus_is_taken_by_the_idle_one_among_them,
        a_thread_behind_pinned_ones_is_taken,
        a_thread_below_many_pinned_ones_is_taken,
        a_thread_beside_the_busiest_cpu_is_taken,
        a_pinned_thread_is_not_taken,
        as_many_threads_as_cpus_spread,
        more_threads_than_cpus_all_go_on,
        a_more_urgent_one_preempts_on_another_cpu,
        a_less_urgent_one_does_not_preempt_on_another_cpu,
        an_equal_one_shares_another_cpu,
        a_more_urgent_one_starts_at_once_on_another_cpu,
    ],
    roles: [],
}

const HOG: u8 = 200;
const LOW: u8 = 100;

/// Waits in user mode.
fn wait_until(done: impl Fn() -> bool) {
    while !done() {
        core::hint::spin_loop();
    }
}

static SPINS: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];
static LET_GO: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];
static SEEN: AtomicUsize = AtomicUsize::new(MOST);

fn keeps_busy(own: &Own) {
    let cpu = own.part(0);
    SPINS[cpu].store(true, SeqCst);
    wait_until(|| LET_GO[cpu].load(SeqCst));
}

/// A hog for `cpu`; it runs unless that is CPU 0, where it runs when the case blocks.
fn hog(cpu: usize) -> Worker {
    SPINS[cpu].store(false, SeqCst);
    LET_GO[cpu].store(false, SeqCst);
    let hog = Worker::on(bit(cpu), HOG, keeps_busy, cpu as u64);
    if cpu != 0 {
        wait_until(|| SPINS[cpu].load(SeqCst));
    }
    hog
}

/// Comes to CPU 0; gives how many others there are.
fn others() -> usize {
    learn();
    own_thread().set_affinity(bit(0)).unwrap();
    SEEN.store(MOST, SeqCst);
    cpus::count() - 1
}

fn notes_where(_: &Own) {
    SEEN.store(here(), SeqCst);
}

/// One for `cpus` that CPU 0 has, not started.
fn low(cpus: u64) -> Worker {
    let thread = Worker::new(LOW, notes_where, 0);
    thread.set_affinity(cpus).unwrap();
    thread
}

/// Its end, and where it was.
fn place(thread: &Worker) -> usize {
    thread.wait().unwrap();
    SEEN.swap(MOST, SeqCst)
}

/// Time in which anything that is possible would happen.
fn wait_in_vain() {
    for _ in 0..2000 {
        own_thread().inspect().unwrap();
        yield_now();
        assert_eq!(SEEN.load(SeqCst), MOST, "it ran");
    }
}
