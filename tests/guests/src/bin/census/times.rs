//! How long threads have run.
#![forbid(unsafe_code)]

use core::hint::spin_loop;

use guests::{
    cpus,
    threads::{MIDDLE, at, settle},
    workers::Worker,
};
use orbital_user::{Error, abi::statistics::Statistic, clock, system};

use super::{number, own, process, thread};

const MILLISECOND: u64 = 1_000_000;

fn sleep(milliseconds: u64) {
    clock::sleep_until(clock::now() + milliseconds * MILLISECOND);
}

pub(super) fn who_runs_is_charged_and_who_sleeps_is_not() {
    let sleeper = at(MIDDLE, || clock::sleep_until(u64::MAX - 1));
    let answers = at(MIDDLE, || sleep(2));
    settle();
    let (of_sleeper, of_answers) =
        (number(sleeper.thread().slot()), number(answers.thread().slot()));
    let (slept, before) = (thread(of_sleeper).cpu_time, thread(of_answers).cpu_time);
    assert!(slept > 0 && before > 0);
    let worker = Worker::start(
        7,
        |_| loop {
            spin_loop()
        },
        0,
    );
    let spins = number(worker.slot());
    assert_eq!(thread(spins).cpu_time, 0);
    let (own_before, idle) = (process(own()).cpu_time, system::idle_time(0).unwrap());
    let mut last = 0;
    for round in 1..=5 {
        sleep(4);
        let time = thread(spins).cpu_time;
        let most = round * 4 * MILLISECOND;
        assert!(time > last + 3 * MILLISECOND && time < most + MILLISECOND, "{round}: {time}");
        last = time;
    }
    assert_eq!(thread(of_sleeper).cpu_time, slept, "it has slept all the time");
    assert_eq!(system::idle_time(0).unwrap(), idle, "somebody ran all the time");
    assert!(process(own()).cpu_time >= own_before + last);
    // Two that yield to each other share the time, by their slices.
    answers.join().unwrap();
    drop(worker);
    let total = process(own()).cpu_time;
    assert!(total >= own_before + last, "who has ended has run nevertheless");
    // Nobody runs.
    let idle = system::idle_time(0).unwrap();
    sleep(4);
    let now = system::idle_time(0).unwrap();
    assert!(now > idle + 3 * MILLISECOND && now < idle + 5 * MILLISECOND, "{idle} {now}");
    assert!(process(own()).cpu_time < total + MILLISECOND);
    drop(sleeper);
}

/// No timer comes to it, so it is asked.
pub(super) fn who_has_a_cpu_for_itself_is_charged() {
    let count = cpus::count();
    assert_eq!(system::statistic(Statistic::Cpus), Ok(count as u64));
    for cpu in 0..count {
        assert!(system::idle_time(cpu).is_ok());
    }
    for cpu in [count, 64, usize::MAX] {
        assert_eq!(system::idle_time(cpu), Err(Error::InvalidArgument));
    }
    cpus::be_equal();
    for cpu in 0..count {
        let worker = Worker::on(
            cpus::bit(cpu),
            MIDDLE,
            |_| loop {
                spin_loop()
            },
            0,
        );
        let number = number(worker.slot());
        let (mut last, mut all) = (0, process(own()).cpu_time);
        for _ in 0..5 {
            let next = last + MILLISECOND / 10;
            cpus::until(|| {
                let (time, total) = (thread(number).cpu_time, process(own()).cpu_time);
                assert!(time >= last && total >= all, "time goes on");
                (last, all) = (time, total);
                time > next
            });
        }
        assert_eq!(thread(number).cpu, cpu as u64);
    }
}
