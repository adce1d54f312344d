//! Signals, kills, deadlines and closes on several CPUs at once.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus::{self, be_equal, bit, pairs, scaled, until},
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{CapSlot, Error, ExitReason, Notification, clock};

use super::notification;

/// The number of a blocked thread's state.
const BLOCKED: u64 = 4;

/// What the workers were given, all together.
static GIVEN: AtomicU64 = AtomicU64::new(0);

fn waits_once(own: &Own) {
    if let Ok(bits) = notification(own.slot()).wait() {
        GIVEN.fetch_or(bits, SeqCst);
    }
}

/// A worker that waits on `cpu`.
fn waits_on(cpu: usize, word: &Notification) -> Worker {
    let worker = Worker::on(bit(cpu), MIDDLE, waits_once, word.slot().bits());
    until(|| worker.inspect().unwrap().state == BLOCKED);
    worker
}

pub fn a_signal_wakes_on_every_pair_of_cpus() {
    be_equal();
    let word = Notification::create().unwrap();
    for (here, there) in pairs() {
        for _ in 0..20 {
            let waiter = waits_on(there, &word);
            let signals = |own: &Own| notification(own.slot()).signal(3).unwrap();
            let signaller = Worker::on(bit(here), MIDDLE, signals, word.slot().bits());
            assert_eq!(waiter.wait(), Ok(ExitReason::Exited(0)));
            assert_eq!(signaller.wait(), Ok(ExitReason::Exited(0)));
            assert_eq!(GIVEN.swap(0, SeqCst), 3);
        }
    }
}

/// A waiter that is suspended when it is chosen, and then killed from another CPU: its signals come back.
pub fn a_chosen_waiter_is_killed_on_every_pair_of_cpus() {
    be_equal();
    let word = Notification::create().unwrap();
    for (here, there) in pairs() {
        guests::own_thread().set_affinity(bit(here)).unwrap();
        for _ in 0..20 {
            let (victim, next) = (waits_on(there, &word), waits_on(there, &word));
            victim.suspend().unwrap();
            word.signal(3).unwrap();
            assert_eq!(word.poll(), Err(Error::WouldBlock), "it is given away");
            victim.kill().unwrap();
            assert_eq!(next.wait(), Ok(ExitReason::Exited(0)));
            assert_eq!((GIVEN.swap(0, SeqCst), word.poll()), (3, Err(Error::WouldBlock)));
            // The same without a next one.
            let victim = waits_on(there, &word);
            victim.suspend().unwrap();
            word.signal(5).unwrap();
            victim.kill().unwrap();
            assert_eq!((GIVEN.load(SeqCst), word.wait()), (0, Ok(5)));
        }
    }
}

/// How often each bit was taken.
static TAKEN: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];
/// How often each is signalled.
static ROUNDS: AtomicU64 = AtomicU64::new(0);

fn all_taken() -> bool {
    TAKEN.iter().all(|taken| taken.load(SeqCst) == ROUNDS.load(SeqCst))
}

fn count(bits: u64) {
    let set = TAKEN.iter().enumerate().filter(|(place, _)| bits >> place & 1 != 0);
    set.for_each(|(_, taken)| {
        taken.fetch_add(1, SeqCst);
    });
}

/// Signals a bit of its own as soon as it was taken: a signal that is lost makes this wait for ever, and
/// one that comes twice makes it a wrong count.
fn signals_again_and_again(own: &Own) {
    let (word, place) = (notification(CapSlot::from_bits(own.argument >> 8)), own.argument & 7);
    let taken = &TAKEN[place as usize];
    for round in 0..ROUNDS.load(SeqCst) {
        assert_eq!(taken.load(SeqCst), round);
        word.signal(1 << place).unwrap();
        until(|| taken.load(SeqCst) > round);
    }
}

/// Eight threads signal, and others take what there is until all was taken.
fn all_signal(rounds: u64, takes: fn(&Own)) {
    be_equal();
    ROUNDS.store(rounds, SeqCst);
    let word = Notification::create().unwrap();
    let argument = word.slot().bits();
    assert!(argument >> 56 == 0, "there is room for the place");
    let takers: Vec<_> = (0..3).map(|_| Worker::start(MIDDLE, takes, argument)).collect();
    let signal = |place| Worker::start(MIDDLE, signals_again_and_again, argument << 8 | place);
    let signallers: Vec<_> = (0..8).map(signal).collect();
    for signaller in &signallers {
        assert_eq!(signaller.wait(), Ok(ExitReason::Exited(0)));
    }
    assert!(all_taken());
    assert_eq!(word.poll(), Err(Error::WouldBlock));
    // Whoever still waits is told.
    drop(word);
    for taker in &takers {
        assert_eq!(taker.wait(), Ok(ExitReason::Exited(0)));
    }
}

pub fn signals_of_all_cpus_are_each_taken_once() {
    let takes = |own: &Own| {
        while let Ok(bits) = notification(own.slot()).wait() {
            count(bits);
        }
    };
    all_signal(scaled(10_000), takes);
}

/// Deadlines that are as short as the time between two signals.
pub fn deadlines_lose_no_signal() {
    let takes = |own: &Own| {
        let mut wait = 0;
        loop {
            wait = (wait + 777) % 20_000;
            match notification(own.slot()).wait_until(clock::now() + wait) {
                Ok(bits) => count(bits),
                Err(Error::TimedOut) => {}
                Err(_) => return,
            }
        }
    };
    all_signal(scaled(10_000), takes);
}

pub fn closing_ends_the_waits_of_all_cpus() {
    be_equal();
    for _ in 0..scaled(200) {
        let word = Notification::create().unwrap();
        let waiters: Vec<_> = (0..cpus::count()).map(|cpu| waits_on(cpu, &word)).collect();
        drop(word);
        for waiter in &waiters {
            assert_eq!(waiter.wait(), Ok(ExitReason::Exited(0)));
        }
        assert_eq!(GIVEN.load(SeqCst), 0);
    }
}
