//! The rest of the cases.
#![forbid(unsafe_code)]

use super::*;

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

pub(super) static REACHED: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
pub(super) static PLACES: [AtomicUsize; MOST] = [const { AtomicUsize::new(MOST) }; MOST];

pub(super) fn meet(me: usize, all: usize, point: u64) {
    REACHED[me].store(point, SeqCst);
    wait_until(|| REACHED[..all].iter().all(|reached| reached.load(SeqCst) >= point));
}

pub(super) fn meets_elsewhere(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    for round in 0..100 {
        PLACES[me].store(here(), SeqCst);
        meet(me, all, 2 * round + 1);
        let found = || PLACES[..all].iter().map(|place| place.load(SeqCst));
        let have_spread = (0..all).all(|cpu| found().any(|place| place == cpu));
        meet(me, all, 2 * round + 2);
        if have_spread {
            return;
        }
    }
    panic!("two share a CPU all the time: {PLACES:?}");
}

/// As many threads as there are CPUs, all started on one, soon have a CPU each.
pub(super) fn as_many_threads_as_cpus_spread() {
    let all = others() + 1;
    let start = |me| {
        let thread = Worker::new(LOW, meets_elsewhere, parts(&[me, all]));
        thread.set_affinity(ALL).unwrap();
        thread.start().unwrap();
        thread
    };
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in threads {
        thread.wait().unwrap();
    }
}

pub(super) fn counts_until_all_have(own: &Own) {
    let (me, all) = (own.part(0), own.part(1));
    wait_until(|| {
        COUNTS[me].fetch_add(1, SeqCst);
        COUNTS[..all].iter().all(|count| count.load(SeqCst) >= 1000)
    });
}

/// Three times as many threads as CPUs, which never give way, all go on.
pub(super) fn more_threads_than_cpus_all_go_on() {
    let all = 3 * (others() + 1);
    let start = |me| {
        let thread = Worker::new(LOW, counts_until_all_have, parts(&[me, all]));
        thread.set_affinity(ALL).unwrap();
        thread.start().unwrap();
        thread
    };
    let threads: Vec<_> = (0..all).map(start).collect();
    for thread in threads {
        thread.wait().unwrap();
    }
}

pub(super) static COUNT: AtomicU64 = AtomicU64::new(0);
pub(super) static STOP: AtomicBool = AtomicBool::new(false);
pub(super) static BROKEN: AtomicBool = AtomicBool::new(false);

pub(super) fn counts(_: &Own) {
    wait_until(|| {
        COUNT.fetch_add(1, SeqCst);
        STOP.load(SeqCst)
    });
}

/// Whoever [`counts`] on this CPU stands still while this runs.
pub(super) fn is_alone(own: &Own) {
    let before = COUNT.load(SeqCst);
    spin(50_000);
    BROKEN.store(COUNT.load(SeqCst) != before, SeqCst);
    notes_where(own);
}

pub(super) fn receives_and_is_alone(own: &Own) {
    endpoint(own.slot()).receive().expect("a message");
    is_alone(own);
}

/// A thread that spins in user mode on another CPU, and one that [`receives_and_is_alone`] there with
/// this priority, blocked by now.
pub(super) fn beside_a_spinner(cpu: usize, priority: u8, slot: u64) -> [Worker; 2] {
    STOP.store(false, SeqCst);
    let receiver = Worker::on(bit(cpu), priority, receives_and_is_alone, slot);
    wait_until(|| receiver.inspect().unwrap().state == 4);
    let spinner = Worker::on(bit(cpu), LOW, counts, 0);
    goes_on();
    [receiver, spinner]
}

pub(super) fn goes_on() {
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
