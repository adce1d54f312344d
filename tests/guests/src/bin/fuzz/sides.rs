//! Random calls from all sides: processes with a few threads each on all CPUs that share endpoints, memory
//! and notifications, end and stop each other, and are looked after from outside.
//!
//! The case is the supervisor: it starts round after round of processes, each with a seed of its own, until
//! so many calls have been made as were asked for (`iterations=`, `seed=`). After each round all counters of
//! the kernel are what they were before it. What a thread is about to do stands in memory that it shares with
//! its process's first thread and the supervisor: so they see who makes no progress, and where.
#![forbid(unsafe_code)]

use alloc::{format, vec::Vec};

use guests::{
    bare::PAGE,
    children,
    cpus::{self, ALL, Visited, scaled},
    fuzz::{Fuzz, Handles, PANICKED},
    mapped::{read, write},
    option, own_thread, places,
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{
    Endpoint, Error, ExitReason, Interrupt, MemoryObject, Notification, Process, Rights, Thread,
    abi::{ObjectKind, Syscall},
    clock,
    memory::MappingMut,
    println,
    spawn::Child,
    start::{bootstrap, exit, take_granted},
    system,
};

/// Processes of a round.
const SIDES: u64 = 2;
/// Calls of each thread in a round.
const CALLS: u64 = 1000;
/// One in so many of the calls that end or stop the thread that makes them is made.
const RARELY: u64 = 200;
/// How long someone may make no progress before others look what it is, in nanoseconds.
const LOOK: u64 = 300_000_000;
/// How long one may take for a call once all that could rightly keep it is out of its way, in nanoseconds.
const PATIENCE: u64 = 10_000_000_000;
/// What a process is given, in this order, and behind that the memory of its [`Progress`].
const GRANTED: [ObjectKind; 7] = [
    ObjectKind::Endpoint,
    ObjectKind::MemoryObject,
    ObjectKind::Process,
    ObjectKind::Endpoint,
    ObjectKind::MemoryObject,
    ObjectKind::Notification,
    ObjectKind::Interrupt,
];

/// How far a thread has come, where all who look can see it.
#[derive(Clone, Copy)]
struct Progress(u64);

impl Progress {
    /// The one of number `thread`, in a page that begins there.
    fn of(page: u64, thread: u64) -> Self {
        Self(page + 32 * thread)
    }

    /// The number of the thread.
    fn thread(self) -> u64 {
        self.0 % PAGE / 32
    }

    /// The thread is about to make this call, after so many others.
    fn begin(self, made: u64, number: u64, is_endless: bool) {
        write(self.0 + 8, number << 1 | u64::from(is_endless));
        write(self.0, made);
    }

    /// How many calls it has made.
    fn made(self) -> u64 {
        read(self.0)
    }

    /// So many of them were parts of messages that came through.
    fn note_met(self, met: u64) {
        write(self.0 + 16, met);
    }

    /// How many.
    fn met(self) -> u64 {
        read(self.0 + 16)
    }

    /// The call that it began last, and whether that may wait without an end.
    fn last(self) -> (Option<Syscall>, bool) {
        let noted = read(self.0 + 8);
        (Syscall::from_number(noted >> 1), noted & 1 != 0)
    }
}

fn number(key: &str) -> u64 {
    option(key).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{key}=NUMBER"))
}

/// One process of a round.
pub(super) fn calls_from_a_side() {
    let memory = take_granted(GRANTED.len()).expect("memory for its progress");
    let page = MemoryObject::from_slot(memory.into_slot()).map_write(PAGE).expect("its page");
    let make = |thread| {
        let progress = Progress::of(page.address(), thread);
        (Worker::new(MIDDLE, makes_calls, progress.0), progress)
    };
    let workers: Vec<_> = (0..number("threads")).map(make).collect();
    for (worker, _) in &workers {
        // Those that began may have ended it.
        let _ = worker.start();
    }
    for (worker, progress) in &workers {
        see_to_its_end(worker, *progress);
    }
    // Without a drop of what others may have closed, and put something else in its place.
    exit(0);
}

/// A thread that makes its calls.
fn makes_calls(own: &Own) {
    let progress = Progress(own.argument);
    let mut handles = Handles::new();
    for (slot, kind) in bootstrap().granted.iter().zip(GRANTED) {
        handles.add(kind, slot.bits());
    }
    let seed = number("seed").wrapping_add(progress.thread() << 32);
    let mut fuzz = Fuzz::new(seed, handles).ending(Thread::slot(own), RARELY);
    let mut made = 0;
    for index in 0.. {
        let begin = |number, is_endless| progress.begin(made, number, is_endless);
        made += u64::from(fuzz.step(index, begin));
        progress.note_met(fuzz.met());
        if made == CALLS {
            return progress.begin(made, Syscall::ThreadExit as u64, false);
        }
    }
}

/// Waits until the thread has ended. Where it makes no progress, all that the others may have done to it is
/// undone; then it goes on, or waits without an end for an answer, and is killed.
///
/// # Panics
/// When it hangs in a call; when it faults, as its memory is nobody else's.
fn see_to_its_end(worker: &Worker, progress: Progress) {
    let mut seen = u64::MAX;
    loop {
        match worker.wait_until(clock::now() + LOOK) {
            Ok(ExitReason::Exited(_) | ExitReason::Killed) => return,
            Ok(reason) => panic!("thread {}: {reason}", progress.thread()),
            Err(Error::TimedOut) if progress.made() != seen => seen = progress.made(),
            Err(Error::TimedOut) => match progress.last() {
                (_, true) => drop(worker.kill()),
                (call, false) => set_free_until_it_goes_on(worker, progress, call),
            },
            // Someone has closed the capability: that ends it.
            Err(_) => return,
        }
    }
}

/// Undoes what others do to the thread until it has begun another call, or has ended.
///
/// # Panics
/// When it does not, though nobody keeps it: it hangs in `call`.
fn set_free_until_it_goes_on(worker: &Worker, progress: Progress, call: Option<Syscall>) {
    let (seen, until) = (progress.made(), clock::now() + PATIENCE);
    while progress.made() == seen {
        // As often as they do it.
        set_free(worker);
        match worker.wait_until(clock::now() + LOOK / 10) {
            Err(Error::TimedOut) if clock::now() < until => (),
            Err(Error::TimedOut) => {
                let threads = [("it", worker.inspect()), ("this one", own_thread().inspect())];
                println!("now {}: {threads:?}; resumed: {:?}", clock::now(), worker.resume());
                for wait in system::waits() {
                    println!("{wait:?}");
                }
                panic!("thread {} hangs in {call:?} after {seen} calls", progress.thread());
            }
            _ => return,
        }
    }
}

/// Undoes what others may have done to a thread. Errors are theirs too: it may have ended.
fn set_free(thread: &Thread) {
    let _ = thread.set_priority(MIDDLE);
    let _ = thread.set_affinity(ALL);
    let _ = thread.clear_budget();
    let _ = thread.resume();
}

/// What the processes of all rounds share, and what is looked at after each.
struct Supervisor {
    visited: Visited,
    pages: Vec<(MemoryObject, MappingMut)>,
    threads: u64,
    made: u64,
    /// Calls that were parts of messages that came through.
    met: u64,
    /// Processes whose first thread was ended by the others.
    leaderless: u64,
}

impl Supervisor {
    fn new() -> Self {
        let page = |_| {
            let memory = MemoryObject::create(PAGE).expect("a page");
            let mapping = memory.map_write(PAGE).expect("its place");
            (memory, mapping)
        };
        Self {
            visited: Visited::new(),
            pages: (0..SIDES).map(page).collect(),
            threads: 1 + cpus::count() as u64,
            made: 0,
            met: 0,
            leaderless: 0,
        }
    }

    /// What the threads of process `side` have noted.
    fn progress(&self, side: usize) -> impl Iterator<Item = Progress> + use<> {
        let page = self.pages[side].1.address();
        (0..self.threads).map(move |thread| Progress::of(page, thread))
    }

    /// How many calls they have made.
    fn made(&self, side: usize) -> u64 {
        self.progress(side).map(Progress::made).sum()
    }

    /// One round, of this seed, at the end of which all is given back.
    fn round(&mut self, seed: u64) {
        places::pave(16 << 20);
        let before = self.visited.settled();
        self.play(seed);
        for side in 0..self.pages.len() {
            self.made += self.made(side);
            self.met += self.progress(side).map(Progress::met).sum::<u64>();
        }
        self.visited.find(before);
    }

    fn play(&mut self, seed: u64) {
        for (_, page) in &mut self.pages {
            page.fill(0);
        }
        let endpoint = Endpoint::create().unwrap();
        let memory = MemoryObject::create(8 * PAGE).unwrap();
        let notification = Notification::create().unwrap();
        let interrupt = Interrupt::create(11).unwrap();
        let victim = Process::create("victim", 64, 32 * 1024).unwrap();
        let start = |(side, (page, _)): (u64, &(MemoryObject, MappingMut))| {
            let seed = seed.wrapping_add(side << 48);
            let arguments = format!("seed={seed} threads={}", self.threads);
            children::start_with_arguments("calls_from_a_side", &arguments, |spawn| {
                spawn
                    .quota(1024, 256 * 1024)
                    .system(Rights::LOG | Rights::STATISTICS)
                    .grant(endpoint.slot(), Rights::all(), 0)
                    .grant(memory.slot(), Rights::all(), 0)
                    .grant(victim.slot(), Rights::all(), 0)
                    .grant(endpoint.slot(), Rights::SEND, 5)
                    .grant(memory.slot(), Rights::READ, 0)
                    .grant(notification.slot(), Rights::all(), 0)
                    .grant(interrupt.slot(), Rights::all(), 0)
                    .grant(page.slot(), Rights::READ | Rights::WRITE, 0)
            })
        };
        let sides: Vec<_> = (0..).zip(&self.pages).map(start).collect();
        for (side, child) in sides.iter().enumerate() {
            self.see_to_its_end(side, child, seed);
        }
        // It may have a capability to itself by now; or it has ended.
        let _ = victim.kill();
        victim.wait().unwrap();
    }

    /// Waits until the process has ended; kills it when it makes no progress and its first thread, which would
    /// find out why, has been ended.
    fn see_to_its_end(&mut self, side: usize, child: &Child, seed: u64) {
        let (mut seen, mut looks) = (u64::MAX, 0);
        let reason = loop {
            match child.process.wait_until(clock::now() + LOOK) {
                Ok(reason) => break reason,
                Err(error) => assert_eq!(error, Error::TimedOut),
            }
            looks = if self.made(side) == seen { looks + 1 } else { 0 };
            seen = self.made(side);
            if looks > 5 {
                set_free(&child.thread);
                if child.thread.try_wait().is_ok() {
                    self.leaderless += 1;
                    let _ = child.process.kill();
                }
            }
            assert!(looks < 10 + 3 * PATIENCE / LOOK, "process {side} does not end");
        };
        // Everything but a panic: it may have ended itself, with any code.
        if reason == ExitReason::Exited(PANICKED) {
            for progress in self.progress(side) {
                let (call, _) = progress.last();
                println!("thread {}: {call:?} after {} calls", progress.thread(), progress.made());
            }
            panic!("process {side} of seed {seed} found what it says above");
        }
    }
}

/// Rounds until so many calls were made: `iterations=` on the command line, else a tenth of
/// 200,000, or all of them in a long run.
pub(super) fn calls_from_all_sides_do_no_harm() {
    let wanted = match option("iterations").and_then(|text| text.parse().ok()) {
        Some(iterations) => iterations,
        None => scaled(200_000),
    };
    let first = cpus::seed();
    let mut supervisor = Supervisor::new();
    // Its own tables and its heap grow.
    supervisor.play(first);
    supervisor.play(first);
    let (mut rounds, mut told) = (0, 0);
    while supervisor.made < wanted {
        supervisor.round(first.wrapping_add(rounds));
        rounds += 1;
        let tenth = supervisor.made * 10 / wanted;
        if tenth > told {
            told = tenth;
            println!("{} calls, {rounds} rounds", supervisor.made);
        }
    }
    let Supervisor { made, met, leaderless, .. } = supervisor;
    println!(
        "{made} calls with seed {first} in {rounds} rounds; {leaderless} of their processes had no leader"
    );
    println!("{met} went well that were parts of messages");
    // If too few do, the arguments are too wild to reach what lies behind the checks.
    assert!(met > made / 1000);
}
