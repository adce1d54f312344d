//! The CPUs of the machine, and on which of them one runs.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use orbital_user::{
    Endpoint, Error, clock, println,
    sync::{Condvar, Mutex},
    thread::yield_now,
};

use crate::{
    counters::Counters,
    own_thread,
    threads::{MIDDLE, endpoint, label},
    workers::{Own, Worker},
};

/// The affinity of those who may run everywhere.
pub const ALL: u64 = u64::MAX;
/// How many CPUs the cases know by name, at most.
pub const MOST: usize = 16;

/// The affinity to one CPU.
pub const fn bit(cpu: usize) -> u64 {
    1 << cpu
}

/// How many CPUs there are: an affinity to one that is not there is refused.
pub fn count() -> usize {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    if COUNT.load(Relaxed) == 0 {
        let idle = Worker::new(MIDDLE, |_| (), 0);
        let is_there = |cpu: &usize| match idle.set_affinity(bit(*cpu)) {
            Ok(()) => true,
            Err(Error::InvalidArgument) => false,
            Err(error) => panic!("affinity to CPU {cpu}: {error}"),
        };
        COUNT.store((0..MOST).take_while(is_there).count(), Relaxed);
    }
    COUNT.load(Relaxed)
}

/// All pairs of different CPUs, in both orders; where there is one CPU, it is its own partner.
pub fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = move |a| (0..count()).map(move |b| (a, b));
    (0..count()).flat_map(all).filter(|(a, b)| a != b || count() == 1)
}

/// Whether this is a long run: the command line says `soak=1`.
pub fn is_soak() -> bool {
    crate::option("soak") == Some("1")
}

/// The full count in a long run, else a tenth of it.
pub fn scaled(full: u64) -> u64 {
    let count = if is_soak() { full } else { full / 10 };
    println!("count {count}");
    count
}

/// The seed of a case that draws: `seed=` on the command line, or always the same.
pub fn seed() -> u64 {
    let given = crate::option("seed").and_then(|text| text.parse().ok());
    let seed = given.unwrap_or(20_240_613);
    println!("seed {seed}");
    seed
}

/// Makes the calling thread of a case equal to those that it starts: from here on it may wait for them
/// by looking.
pub fn be_equal() {
    own_thread().set_priority(MIDDLE).expect("a lower priority");
}

/// Looks until `done`, and lets equals run meanwhile.
pub fn until(mut done: impl FnMut() -> bool) {
    let mut looks = 0u32;
    while !done() {
        looks += 1;
        if looks.is_multiple_of(32) { yield_now() } else { core::hint::spin_loop() }
    }
}

/// Does nothing so many times, in user mode.
pub fn spin(turns: u64) {
    for turn in 0..turns {
        core::hint::black_box(turn);
    }
}

/// The number that the hardware gives the CPU that this runs on (Intel SDM volume 2, CPUID leaf 1):
/// read without the kernel's help.
pub fn hardware() -> usize {
    (core::arch::x86_64::__cpuid(1).ebx >> 24) as usize
}

static HARDWARE: [AtomicUsize; MOST] = [const { AtomicUsize::new(usize::MAX) }; MOST];

/// Learns which hardware number each CPU has; they are all different.
pub fn learn() {
    let learn = |own: &Own| HARDWARE[own.part(0)].store(hardware(), Relaxed);
    for cpu in 0..count() {
        let worker = Worker::on(bit(cpu), MIDDLE, learn, cpu as u64);
        worker.wait().expect("its end");
    }
    for (a, b) in pairs().filter(|(a, b)| a != b) {
        assert_ne!(HARDWARE[a].load(Relaxed), HARDWARE[b].load(Relaxed), "CPUs {a} and {b}");
    }
}

/// The CPU that this runs on, after [`learn`].
pub fn here() -> usize {
    let number = hardware();
    let known = HARDWARE.iter().position(|known| known.load(Relaxed) == number);
    known.expect("a CPU that was learnt")
}

/// A thread on each CPU that can be called when nobody else there has anything to do.
pub struct Visited(Vec<(Worker, Endpoint)>);

impl Visited {
    /// One on each CPU.
    #[expect(clippy::new_without_default, reason = "it starts threads")]
    pub fn new() -> Self {
        // The caller's own notification, by which it waits for other threads, is there from now on: else the first time
        // that it finds a lock taken is when it is made.
        let lock = Mutex::new(());
        let _ = Condvar::new().wait_until(lock.lock(), clock::now());
        let receives = |own: &Own| while endpoint(own.slot()).receive().is_ok() {};
        let visited = |cpu| {
            let endpoint = Endpoint::create().expect("an endpoint");
            // They run when nobody else wants to, threads and the kernel itself.
            (Worker::on(bit(cpu), 0, receives, endpoint.slot().bits()), endpoint)
        };
        Self((0..count()).map(visited).collect())
    }

    /// Each CPU does all that it has been told to.
    pub fn round(&self) {
        (0..self.0.len()).for_each(|cpu| self.round_of(cpu));
    }

    /// This CPU does.
    pub fn round_of(&self, cpu: usize) {
        // The first may find it waiting; the second has to wait until it has run. A call would lend it priority.
        (0..2).for_each(|_| self.0[cpu].1.send(&label(0)).expect("a receiver"));
    }

    /// The counters, once they stay the same: what has ended may need some rounds over all CPUs to be gone.
    pub fn settled(&self) -> Counters {
        let mut same = 0;
        let mut last = Counters::now();
        while same < 3 {
            self.round();
            let now = Counters::now();
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        last
    }

    /// The counters are what they were, once everything that has ended is cleaned up.
    #[track_caller]
    pub fn find(&self, before: Counters) {
        for _ in 0..10 {
            self.round();
            if Counters::now() == before {
                return;
            }
        }
        assert_eq!(Counters::now(), before);
    }
}

/// Does `work` a few times to warm up, then `rounds` times more, after which the counters are what they
/// were.
#[track_caller]
pub fn leave_nothing(rounds: u64, mut work: impl FnMut()) {
    let visited = Visited::new();
    for _ in 0..3 {
        work();
    }
    let before = visited.settled();
    for _ in 0..rounds {
        work();
    }
    visited.find(before);
}
