//! Where threads run that may run anywhere: no CPU sleeps while one waits for another CPU; and who runs
//! on a CPU when it is woken from another.
//!
//! The case itself stays on CPU 0, above all others. There, and where a case wants it elsewhere, a hog
//! spins that nobody below it gets past.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

mod more;

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use guests::{
    cpus::{self, ALL, MOST, bit, here, learn, spin},
    own_thread, suite,
    threads::{endpoint, label},
    workers::{Own, Worker, parts},
};
use orbital_user::{Endpoint, thread::yield_now};

use more::*;

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
static COUNTS: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];

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

fn receives_and_notes_where(own: &Own) {
    endpoint(own.slot()).receive().expect("a message");
    notes_where(own);
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

/// A thread that is started on a CPU where a more urgent one spins runs on one that sleeps.
fn a_ready_thread_is_taken_by_an_idle_cpu() {
    if others() == 0 {
        return;
    }
    let _hog = hog(0);
    for _ in 0..100 {
        let thread = low(ALL);
        thread.start().unwrap();
        assert_ne!(place(&thread), 0);
    }
}

/// A thread waits for its turn while more urgent ones spin on all CPUs; the CPU where one ends takes it.
fn a_cpu_that_becomes_idle_takes_a_ready_thread() {
    let others = others();
    let _hog = hog(0);
    for (free, let_go) in LET_GO.iter().enumerate().take(others + 1).skip(1) {
        let _hogs: Vec<_> = (1..=others).map(hog).collect();
        let thread = low(ALL);
        thread.start().unwrap();
        wait_in_vain();
        let_go.store(true, SeqCst);
        assert_eq!(place(&thread), free);
    }
}

/// A thread that is woken while a more urgent one spins where it was last runs on a CPU that sleeps.
fn a_thread_woken_on_a_busy_cpu_is_taken_by_an_idle_one() {
    if others() == 0 {
        return;
    }
    let endpoint = Endpoint::create().unwrap();
    for _ in 0..100 {
        let thread = Worker::new(LOW, receives_and_notes_where, endpoint.slot().bits());
        thread.start().unwrap();
        // It blocks on CPU 0, which alone it may use.
        wait_on_cpu_0();
        thread.set_affinity(ALL).unwrap();
        let _hog = hog(0);
        endpoint.send(&label(0)).unwrap();
        assert_ne!(place(&thread), 0);
    }
}

/// Lets the others of CPU 0 run until they block.
fn wait_on_cpu_0() {
    Worker::on(bit(0), 0, |_| (), 0).wait().unwrap();
}

fn sends_when_0_spins(own: &Own) {
    wait_until(|| SPINS[0].load(SeqCst));
    endpoint(own.slot()).send(&label(0)).expect("a receiver");
}

/// The same, when no CPU sleeps yet as it is woken: the CPU that wakes it is the one that has nothing
/// else to do soon after.
fn a_thread_woken_on_a_busy_cpu_is_taken_by_one_that_becomes_idle() {
    let endpoint = Endpoint::create().unwrap();
    let slot = endpoint.slot().bits();
    let others = others();
    for free in 1..=others {
        for _ in 0..10 {
            let thread = Worker::new(LOW, receives_and_notes_where, slot);
            thread.start().unwrap();
            wait_on_cpu_0();
            thread.set_affinity(ALL).unwrap();
            let _hogs: Vec<_> = (1..=others).filter(|cpu| *cpu != free).map(hog).collect();
            let _sender = Worker::on(bit(free), LOW + 1, sends_when_0_spins, slot);
            let _hog = hog(0);
            assert_eq!(place(&thread), free);
        }
    }
}

/// A thread that may run on two CPUs, one of which is busy, runs on the other, whoever else sleeps.
fn a_thread_for_some_cpus_is_taken_by_the_idle_one_among_them() {
    let others = others();
    let _hog = hog(0);
    for free in 1..=others {
        let thread = low(bit(0) | bit(free));
        thread.start().unwrap();
        assert_eq!(place(&thread), free);
    }
}

/// Threads that must stay on a busy CPU do not keep an equal one from a CPU that sleeps.
fn a_thread_behind_pinned_ones_is_taken() {
    if others() == 0 {
        return;
    }
    let _hog = hog(0);
    let _pinned = [(); 3].map(|()| Worker::on(bit(0), LOW, keeps_busy, 0));
    let thread = low(ALL);
    thread.start().unwrap();
    assert_ne!(place(&thread), 0);
}

/// Nor do more urgent ones, however many.
fn a_thread_below_many_pinned_ones_is_taken() {
    if others() == 0 {
        return;
    }
    let _hog = hog(0);
    let _pinned: Vec<_> =
        (1..=20).map(|above| Worker::on(bit(0), LOW + above, keeps_busy, 0)).collect();
    let thread = low(ALL);
    thread.start().unwrap();
    assert_ne!(place(&thread), 0);
}
