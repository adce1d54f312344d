//! The timer takes the CPU from threads that never give it up, and each finds its registers as they
//! were.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use guests::{
    children,
    pattern::{General, Vectors, Wide, assert_fresh, fill, has_avx, hold_flags},
    suite,
};
use orbital_user::{
    Endpoint, ExitReason, Message, Rights,
    abi::statistics::Statistic,
    println,
    start::take_granted,
    system::statistic,
    thread::{self, JoinHandle},
};

suite! {
    cases: [
        threads_that_never_yield_all_go_on,
        general_registers_survive,
        flags_survive,
        vector_registers_survive,
        wide_vector_registers_survive,
        vector_registers_survive_beside_threads_without,
        vector_registers_survive_system_calls_that_block,
        a_new_thread_finds_no_other_s_vectors,
        a_new_process_finds_no_other_s_vectors,
        vectors_of_a_killed_thread_are_gone,
        processes_are_preempted_like_threads,
    ],
    roles: [finds_no_vectors, spins_with_vectors],
}

/// How often each case's threads are interrupted, at least.
const PREEMPTIONS: u64 = 40;

static DONE: AtomicBool = AtomicBool::new(false);

fn timer_interrupts() -> u64 {
    statistic(Statistic::TimerInterrupts).unwrap()
}

/// Repeats `round` until this thread or another has seen enough interrupts.
fn until_preempted(mut round: impl FnMut()) {
    let start = timer_interrupts();
    while !DONE.load(Relaxed) {
        round();
        if timer_interrupts() - start >= PREEMPTIONS {
            DONE.store(true, Relaxed);
        }
    }
}

fn join_all(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        assert_eq!(thread.join(), Ok(()));
    }
}

/// Three threads count in loops without any system call, until all have come far: only the timer
/// can have switched between them.
fn threads_that_never_yield_all_go_on() {
    static COUNTS: [AtomicU64; 3] = [const { AtomicU64::new(0) }; 3];
    const ENOUGH: u64 = 100_000;
    let threads = (0..3).map(|me| {
        let spin = move || {
            while COUNTS.iter().any(|count| count.load(Relaxed) < ENOUGH) {
                COUNTS[me].fetch_add(1, Relaxed);
            }
        };
        thread::spawn(spin).unwrap()
    });
    let (before, threads) = (timer_interrupts(), threads.collect());
    join_all(threads);
    assert!(timer_interrupts() - before >= 2);
}

/// Four threads hold patterns of their own in all registers.
fn general_registers_survive() {
    let threads = (1..=4).map(|seed| {
        let hold = move || {
            let mut pattern = General::new(seed);
            until_preempted(|| assert!(pattern.hold(20_000), "thread {seed}"));
        };
        thread::spawn(hold).unwrap()
    });
    join_all(threads.collect());
}

/// CF, PF, AF, ZF, SF, DF and OF, each alone, none and all.
fn flags_survive() {
    let flags = [0, 0x1, 0x4, 0x10, 0x40, 0x80, 0x400, 0x800, 0xcd5];
    let threads = flags.map(|flags| {
        let hold = move || {
            until_preempted(|| {
                assert_eq!(hold_flags(flags | 2, 300_000), flags | 0x202);
            })
        };
        thread::spawn(hold).unwrap()
    });
    join_all(threads.into_iter().collect());
}

fn spin(turns: u64) {
    for turn in 0..turns {
        core::hint::black_box(turn);
    }
}

fn hold_vectors(seed: u8) {
    Vectors::pattern(seed).load();
    let held = Vectors::now();
    assert_eq!(held.xmm(), Vectors::pattern(seed).xmm());
    until_preempted(|| {
        spin(100_000);
        assert!(Vectors::now() == held, "thread {seed}");
    });
}

/// Four threads with patterns of their own in XMM0 to XMM15, MXCSR, and all of x87.
fn vector_registers_survive() {
    join_all((1..=4).map(|seed| thread::spawn(move || hold_vectors(seed)).unwrap()).collect());
}

/// The same for the upper halves that AVX adds, where CPU and kernel have it.
fn wide_vector_registers_survive() {
    if !has_avx() {
        println!("this machine has no AVX");
        return;
    }
    let threads = (1..=4).map(|seed| {
        let hold = move || {
            let held = Wide::pattern(seed);
            held.load();
            until_preempted(|| {
                spin(100_000);
                assert_eq!(Wide::now(), held, "thread {seed}");
            });
        };
        thread::spawn(hold).unwrap()
    });
    join_all(threads.collect());
}

/// Threads with and without vectors, in turns, some of them short-lived: those who use them get them
/// when they need them, and keep them.
fn vector_registers_survive_beside_threads_without() {
    let mut threads = Vec::new();
    for seed in 1..=2 {
        threads.push(thread::spawn(move || hold_vectors(seed)).unwrap());
        threads.push(thread::spawn(|| until_preempted(|| spin(50_000))).unwrap());
    }
    let short = thread::spawn(|| {
        for seed in 10..20 {
            let once = move || {
                Vectors::pattern(seed).load();
                thread::yield_now();
                assert_eq!(Vectors::now().xmm(), Vectors::pattern(seed).xmm());
            };
            assert_eq!(thread::spawn(once).unwrap().join(), Ok(()));
        }
    });
    threads.push(short.unwrap());
    join_all(threads);
}

/// A thread waits for a message, or for its receiver, while another uses the same registers.
fn vector_registers_survive_system_calls_that_block() {
    let endpoint = Endpoint::create().unwrap();
    let (send, receive) = (Rights::SEND, Rights::RECEIVE);
    let (there, back) = (endpoint.copy(receive, 0).unwrap(), endpoint.copy(send, 0).unwrap());
    const ROUNDS: u64 = 50;
    let receiver = thread::spawn(move || {
        for round in 0..ROUNDS {
            Vectors::pattern(round as u8).load();
            let held = Vectors::now();
            assert_eq!(there.receive().unwrap().message.words(), [round]);
            assert!(Vectors::now() == held, "round {round}");
        }
    });
    let sender = thread::spawn(move || {
        for round in 0..ROUNDS {
            Vectors::pattern(!(round as u8)).load();
            let held = Vectors::now();
            back.send(&Message::new(0, &[round]).unwrap()).unwrap();
            thread::yield_now();
            assert!(Vectors::now() == held, "round {round}");
        }
    });
    receiver.unwrap().join().unwrap();
    sender.unwrap().join().unwrap();
}

/// New threads, made while others hold patterns and after they have ended, find nothing of them.
fn a_new_thread_finds_no_other_s_vectors() {
    fill();
    for _ in 0..10 {
        thread::spawn(assert_fresh).unwrap().join().unwrap();
        thread::spawn(fill).unwrap().join().unwrap();
        thread::spawn(assert_fresh).unwrap().join().unwrap();
    }
    assert_eq!(Vectors::now().xmm(), Vectors::pattern(0x5a).xmm());
}

fn finds_no_vectors() {
    assert_fresh();
    fill();
}

/// Nor do new processes.
fn a_new_process_finds_no_other_s_vectors() {
    fill();
    for _ in 0..5 {
        children::succeed(&children::start("finds_no_vectors", |s| s));
    }
    assert_eq!(Vectors::now().xmm(), Vectors::pattern(0x5a).xmm());
}

fn spins_with_vectors() {
    let parent = Endpoint::from_slot(take_granted(0).unwrap().into_slot());
    fill();
    parent.send(&Message::default()).unwrap();
    loop {
        spin(1000);
    }
}

/// A process is killed while its vectors are in the CPU; who comes next does not see them.
fn vectors_of_a_killed_thread_are_gone() {
    let endpoint = Endpoint::create().unwrap();
    for _ in 0..5 {
        let child =
            children::start("spins_with_vectors", |s| s.grant(endpoint.slot(), Rights::SEND, 0));
        endpoint.receive().unwrap();
        let fresh = thread::spawn(|| {
            for _ in 0..3 {
                thread::yield_now();
            }
            assert_fresh();
        });
        fresh.unwrap().join().unwrap();
        child.process.kill().unwrap();
        assert_eq!(child.wait(), Ok(ExitReason::Killed));
        thread::spawn(assert_fresh).unwrap().join().unwrap();
    }
}

/// Processes that spin for ever leave others their turns: each of these is one of the timer's.
fn processes_are_preempted_like_threads() {
    let endpoint = Endpoint::create().unwrap();
    let spinning = [0, 1].map(|_| {
        let child =
            children::start("spins_with_vectors", |s| s.grant(endpoint.slot(), Rights::SEND, 0));
        endpoint.receive().unwrap();
        child
    });
    let worker = thread::spawn(|| {
        let before = timer_interrupts();
        for _ in 0..10 {
            thread::yield_now();
        }
        timer_interrupts() - before
    });
    let turns = worker.unwrap().join().unwrap();
    assert!(turns >= 20, "{turns} interrupts for 10 turns beside two that spin");
    for child in spinning {
        child.process.kill().unwrap();
        assert_eq!(child.wait(), Ok(ExitReason::Killed));
    }
}
