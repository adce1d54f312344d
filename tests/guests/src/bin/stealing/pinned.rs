//! Threads that must stay where they are: nobody takes them, and they hide no other.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::Ordering::SeqCst;

use guests::{
    cpus::{self, ALL, bit},
    workers::Worker,
};

use super::{HOG, LET_GO, LOW, hog, keeps_busy, low, others, place, wait_in_vain, wait_until};

/// Threads that must stay on a busy CPU do not keep an equal one from a CPU that sleeps.
pub(super) fn a_thread_behind_pinned_ones_is_taken() {
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
pub(super) fn a_thread_below_many_pinned_ones_is_taken() {
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

/// A CPU that has nothing to do finds the one thread that it may run, though another CPU has more that
/// it may not.
pub(super) fn a_thread_beside_the_busiest_cpu_is_taken() {
    let others = others();
    for (free, let_go) in LET_GO.iter().enumerate().take(others + 1).skip(2) {
        let _hogs: Vec<_> = (0..=others).map(hog).collect();
        let _pinned = [(); 3].map(|()| Worker::on(bit(0), LOW, keeps_busy, 0));
        let thread = low(bit(1));
        thread.start().unwrap();
        wait_until(|| thread.inspect().unwrap().cpu == 1);
        wait_in_vain();
        thread.set_affinity(ALL).unwrap();
        wait_in_vain();
        let_go.store(true, SeqCst);
        assert_eq!(place(&thread), free);
    }
}

/// A thread that must stay waits, whoever sleeps, and runs there at the end.
pub(super) fn a_pinned_thread_is_not_taken() {
    others();
    let _hog = hog(0);
    let thread = low(bit(0));
    thread.start().unwrap();
    wait_in_vain();
    // The case blocks, and the hog spins.
    let witness = Worker::on(bit(cpus::count() - 1), HOG + 1, |_| (), 0);
    witness.wait().unwrap();
    wait_in_vain();
    LET_GO[0].store(true, SeqCst);
    assert_eq!(place(&thread), 0);
}
