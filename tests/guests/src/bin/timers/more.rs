//! Timers on several CPUs at once, and their exact times.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use guests::{
    children,
    cpus::{self, be_equal, bit, scaled},
    places,
    threads::{MIDDLE, at},
    workers::{Own, Worker, parts},
};
use orbital_user::{Error, ExitReason, Notification, Rights, Timer, clock, println};

use super::{MILLISECOND, start_armed};

/// The timer stands on the CPU where it was set, and its thread goes elsewhere to wait.
pub fn timers_fire_though_their_threads_move() {
    be_equal();
    let moves = |own: &Own| {
        let (from, to) = (own.part(0), own.part(1));
        let word = Notification::create().unwrap();
        let timer = Timer::create(&word, 1).unwrap();
        for round in 0..20 {
            own.set_affinity(bit(from)).unwrap();
            let deadline = clock::now() + round * 20_000;
            timer.set(deadline).unwrap();
            own.set_affinity(bit(to)).unwrap();
            assert_eq!(word.wait(), Ok(1));
            assert!(clock::now() >= deadline);
        }
    };
    let pairs = (0..cpus::count()).flat_map(|a| (0..cpus::count()).map(move |b| (a, b)));
    let workers: Vec<_> =
        pairs.map(|(a, b)| Worker::start(MIDDLE, moves, parts(&[a, b]))).collect();
    for worker in &workers {
        assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
    }
}

static ARMED: AtomicU64 = AtomicU64::new(0);
static REPLACED: AtomicU64 = AtomicU64::new(0);

/// One timer, set by a thread of each CPU: each setting fires once or is replaced by one that learns so.
pub fn a_timer_is_set_from_all_cpus() {
    be_equal();
    let rounds = scaled(5_000);
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, 1).unwrap();
    let sets = |own: &Own| {
        let timer = ManuallyDrop::new(Timer::from_slot(own.slot()));
        for round in 0..scaled(5_000) {
            let before = timer.set(clock::now() + round * 977 % 30_000).unwrap();
            ARMED.fetch_add(1, SeqCst);
            REPLACED.fetch_add(before.is_some().into(), SeqCst);
            cpus::spin(round * 331 % 700);
        }
    };
    let setters: Vec<_> = (0..cpus::count())
        .map(|cpu| Worker::on(bit(cpu), MIDDLE, sets, timer.slot().bits()))
        .collect();
    let mut taken = 0;
    while setters.iter().any(|setter| setter.try_wait() == Err(Error::WouldBlock)) {
        taken += u64::from(word.wait_until(clock::now() + MILLISECOND).is_ok());
    }
    let replaced = REPLACED.load(SeqCst) + u64::from(timer.disarm().unwrap().is_some());
    taken += u64::from(word.poll().is_ok());
    let (armed, count) = (ARMED.load(SeqCst), cpus::count() as u64);
    assert_eq!(armed, rounds * count);
    let fired = armed - replaced;
    assert!(taken <= fired && (taken > 0 || fired == 0), "{fired} fired, {taken} taken");
    assert_eq!(word.wait_until(clock::now() + MILLISECOND), Err(Error::TimedOut));
}

pub fn timers_of_all_cpus_leave_nothing() {
    be_equal();
    places::pave(64 << 20);
    cpus::leave_nothing(10, || {
        let children: Vec<_> = (0..3).map(|_| start_armed()).collect();
        children.iter().for_each(children::succeed);
    });
}

/// A second of periods, none of which is late enough for the next.
pub fn each_period_has_its_signal() {
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, 1).unwrap();
    let start = clock::now() + MILLISECOND;
    timer.set_periodic(start, MILLISECOND).unwrap();
    for round in 0..1_000 {
        assert_eq!(word.wait(), Ok(1));
        assert_eq!((clock::now() - start) / MILLISECOND, round);
        cpus::spin(round % 100);
    }
    assert_eq!(timer.disarm(), Ok(Some(start + 1_000 * MILLISECOND)));
}

pub fn missed_periods_are_one_signal() {
    let word = Notification::create().unwrap();
    let timer = Timer::create(&word, 1).unwrap();
    let start = clock::now() + MILLISECOND;
    timer.set_periodic(start, MILLISECOND).unwrap();
    for round in 1..20 {
        while clock::now() < start + 10 * round * MILLISECOND + MILLISECOND / 2 {}
        assert_eq!(word.poll(), Ok(1));
        assert_eq!(word.poll(), Err(Error::WouldBlock));
        assert_eq!(word.wait(), Ok(1));
        assert_eq!((clock::now() - start) / MILLISECOND, 10 * round + 1);
    }
}

/// How long a thread of this priority takes for its work, in nanoseconds.
fn work_time(priority: u8) -> u64 {
    let worker = at(priority, || {
        let start = clock::now();
        cpus::spin(3_000_000);
        clock::now() - start
    });
    worker.join().unwrap()
}

/// A child with thousands of periodic timers on this CPU, which would keep it in the kernel for ever: the
/// threads of others go on, whatever their priorities, and their deadlines come.
pub fn a_flood_of_timers_leaves_others_their_time() {
    let told = Notification::create().unwrap();
    let alone = work_time(MIDDLE);
    let child = children::start("floods", |spawn| {
        spawn.quota(1024, 1 << 20).grant(told.slot(), Rights::SEND, 0)
    });
    assert_eq!(told.wait(), Ok(1));
    for priority in [0, MIDDLE, 255] {
        let flooded = work_time(priority);
        println!("{alone} ns of work take {flooded} ns");
        assert!(flooded < 2 * alone && flooded > alone + alone / 10);
        let deadline = clock::now() + MILLISECOND;
        clock::sleep_until(deadline);
        assert!(clock::now() < deadline + MILLISECOND / 2);
    }
    child.process.kill().unwrap();
    assert_eq!(child.wait(), Ok(ExitReason::Killed));
}
