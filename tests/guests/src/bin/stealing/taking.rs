//! A CPU that has nothing to do takes a thread that waits for another.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::Ordering::SeqCst;

use guests::{
    cpus::{ALL, bit},
    threads::{endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::Endpoint;

use super::{LET_GO, LOW, SPINS, hog, low, notes_where, others, place, wait_in_vain, wait_until};

/// A thread that is started on a CPU where a more urgent one spins runs on one that sleeps.
pub(super) fn a_ready_thread_is_taken_by_an_idle_cpu() {
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
pub(super) fn a_cpu_that_becomes_idle_takes_a_ready_thread() {
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

fn receives_and_notes_where(own: &Own) {
    endpoint(own.slot()).receive().expect("a message");
    notes_where(own);
}

/// A thread that is woken while a more urgent one spins where it was last runs on a CPU that sleeps.
pub(super) fn a_thread_woken_on_a_busy_cpu_is_taken_by_an_idle_one() {
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
pub(super) fn a_thread_woken_on_a_busy_cpu_is_taken_by_one_that_becomes_idle() {
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
pub(super) fn a_thread_for_some_cpus_is_taken_by_the_idle_one_among_them() {
    let others = others();
    let _hog = hog(0);
    for free in 1..=others {
        let thread = low(bit(0) | bit(free));
        thread.start().unwrap();
        assert_eq!(place(&thread), free);
    }
}
