//! Who runs on a CPU when it is woken, started or sent there from another.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{bit, spin},
    threads::{endpoint, label},
    workers::{Own, Worker},
};
use orbital_user::Endpoint;

use super::{LOW, notes_where, others, place, wait_in_vain, wait_until};

static COUNT: AtomicU64 = AtomicU64::new(0);
static STOP: AtomicBool = AtomicBool::new(false);
static BROKEN: AtomicBool = AtomicBool::new(false);

fn counts(_: &Own) {
    wait_until(|| {
        COUNT.fetch_add(1, SeqCst);
        STOP.load(SeqCst)
    });
}

/// Whoever [`counts`] on this CPU stands still while this runs.
fn is_alone(own: &Own) {
    let before = COUNT.load(SeqCst);
    spin(50_000);
    BROKEN.store(COUNT.load(SeqCst) != before, SeqCst);
    notes_where(own);
}

fn receives_and_is_alone(own: &Own) {
    endpoint(own.slot()).receive().expect("a message");
    is_alone(own);
}

/// A thread that spins in user mode on another CPU, and one that [`receives_and_is_alone`] there with
/// this priority, blocked by now.
fn beside_a_spinner(cpu: usize, priority: u8, slot: u64) -> [Worker; 2] {
    STOP.store(false, SeqCst);
    let receiver = Worker::on(bit(cpu), priority, receives_and_is_alone, slot);
    wait_until(|| receiver.inspect().unwrap().state == 4);
    let spinner = Worker::on(bit(cpu), LOW, counts, 0);
    goes_on();
    [receiver, spinner]
}

fn goes_on() {
    let before = COUNT.load(SeqCst);
    wait_until(|| COUNT.load(SeqCst) > before + 1000);
}

/// A thread that is woken on a CPU where a less urgent one spins runs there at once, and alone.
pub(super) fn a_more_urgent_one_preempts_on_another_cpu() {
    let endpoint = Endpoint::create().unwrap();
    for cpu in 1..=others() {
        for priority in [LOW + 1, 254] {
            let [receiver, spinner] = beside_a_spinner(cpu, priority, endpoint.slot().bits());
            endpoint.send(&label(0)).unwrap();
            assert_eq!(place(&receiver), cpu);
            assert!(!BROKEN.load(SeqCst), "the less urgent one ran meanwhile");
            goes_on();
            STOP.store(true, SeqCst);
            spinner.wait().unwrap();
        }
    }
}

/// A thread that is less urgent than the one that spins there waits until that ends.
pub(super) fn a_less_urgent_one_does_not_preempt_on_another_cpu() {
    let endpoint = Endpoint::create().unwrap();
    for cpu in 1..=others() {
        for priority in [0, LOW - 1] {
            let [receiver, spinner] = beside_a_spinner(cpu, priority, endpoint.slot().bits());
            endpoint.send(&label(0)).unwrap();
            (0..20).for_each(|_| goes_on());
            wait_in_vain();
            STOP.store(true, SeqCst);
            spinner.wait().unwrap();
            assert_eq!(place(&receiver), cpu);
        }
    }
}

/// An equal thread gets its turn when the slice of the one that spins there is over.
pub(super) fn an_equal_one_shares_another_cpu() {
    let endpoint = Endpoint::create().unwrap();
    for cpu in 1..=others() {
        for _ in 0..5 {
            let [receiver, spinner] = beside_a_spinner(cpu, LOW, endpoint.slot().bits());
            endpoint.send(&label(0)).unwrap();
            assert_eq!(place(&receiver), cpu);
            STOP.store(true, SeqCst);
            spinner.wait().unwrap();
        }
    }
}

/// A thread that is started for a CPU where a less urgent one spins runs there at once, and alone; so
/// does one that spun elsewhere and is sent there.
pub(super) fn a_more_urgent_one_starts_at_once_on_another_cpu() {
    for cpu in 1..=others() {
        STOP.store(false, SeqCst);
        let spinner = Worker::on(bit(cpu), LOW, counts, 0);
        goes_on();
        let started = Worker::on(bit(cpu), LOW + 1, is_alone, 0);
        assert_eq!(place(&started), cpu);
        assert!(!BROKEN.load(SeqCst), "the less urgent one ran meanwhile");
        goes_on();
        let sent = Worker::on(bit(0), LOW + 1, is_alone, 0);
        sent.set_affinity(bit(cpu)).unwrap();
        assert_eq!(place(&sent), cpu);
        assert!(!BROKEN.load(SeqCst), "the less urgent one ran meanwhile");
        STOP.store(true, SeqCst);
        spinner.wait().unwrap();
    }
}
