//! Interrupts while the kernel works: how long they stay off, as the counter says and as a timer sees.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    cpus,
    mapped::{PLACE, do_map, do_unmap, mapping, write},
    raw::{self, refuse},
    suite,
    threads::MIDDLE,
    workers::{Own, Worker},
};
use orbital_user::{
    Error, MemoryObject, Process, Rights,
    abi::Syscall,
    capability::copy_to,
    clock,
    start::bootstrap,
    system::{interrupts_off, take_interrupts_off},
};

suite! {
    cases: [wrong_questions_are_refused],
    parallel: [each_cpu_has_its_counter],
    on "icount pinned": [
        a_stretch_is_counted_once_and_anew,
        a_timer_waits_no_longer_than_for_one_step,
        an_urgent_thread_waits_for_no_cleaning_up,
    ],
    roles: [],
}

/// Instructions of the longest step that these cases cause, generously.
const LONGEST: u64 = 40_000;

fn wrong_questions_are_refused() {
    let system = bootstrap().system;
    let ask = |words: [u64; 3], error| {
        refuse(Syscall::SystemInterruptsOff, raw::control(words), error);
    };
    for cpu in [cpus::MOST as u64, 64, 1 << 32, u64::MAX] {
        ask([system.bits(), cpu, 0], Error::InvalidArgument);
    }
    for reset in [2, u64::MAX] {
        ask([system.bits(), 0, reset], Error::InvalidArgument);
    }
    let log = copy_to(system, orbital_user::CapSlot::NULL, Rights::LOG, 0).unwrap();
    ask([log.bits(), 0, 0], Error::MissingRights);
    ask([0, 0, 0], Error::EmptySlot);
}

/// After a CPU has done something it has a longest stretch; taken, that is gone; the others' stay.
fn each_cpu_has_its_counter() {
    // From here on they are measured.
    interrupts_off(0).unwrap();
    for cpu in 0..cpus::count() {
        let worker = Worker::on(cpus::bit(cpu), MIDDLE, |_| clock::sleep(1000), 0);
        worker.wait().unwrap();
        assert!(interrupts_off(cpu).unwrap() > 0, "CPU {cpu}");
    }
    // What was taken is at least what was read before.
    for cpu in 0..cpus::count() {
        let before = interrupts_off(cpu).unwrap();
        assert!(take_interrupts_off(cpu).unwrap() >= before, "CPU {cpu}");
    }
}

/// A null call's stretch is short, and the same each time; a longer one raises the counter, and a shorter
/// one after that does not lower it.
fn a_stretch_is_counted_once_and_anew() {
    // From here on they are measured.
    interrupts_off(0).unwrap();
    let null = || {
        take_interrupts_off(0).unwrap();
        raw::call(Syscall::Null, raw::NOISE);
        take_interrupts_off(0).unwrap()
    };
    let first = null();
    assert!((1..5000).contains(&first), "{first} instructions");
    assert_eq!(null(), first);
    take_interrupts_off(0).unwrap();
    let memory = MemoryObject::create(1 << 20).unwrap();
    let long = interrupts_off(0).unwrap();
    drop(memory);
    assert!((first + 1..LONGEST).contains(&long), "{long} instructions");
    raw::call(Syscall::Null, raw::NOISE);
    assert!(interrupts_off(0).unwrap() >= long);
}

/// How much later than it wanted the most urgent thread woke, at worst.
static LATE: AtomicU64 = AtomicU64::new(0);

fn wakes_again_and_again(_: &Own) {
    loop {
        let deadline = clock::now() + 50_000;
        clock::sleep_until(deadline);
        LATE.fetch_max(clock::now() - deadline, SeqCst);
    }
}

/// Long work for a thread of high priority does not keep a timer from one that is more urgent.
fn a_timer_waits_no_longer_than_for_one_step() {
    let works = |_: &Own| {
        const BYTES: u64 = 32 << 20;
        let memory = MemoryObject::create(BYTES).unwrap();
        for _ in 0..3 {
            do_map(mapping(&memory, BYTES)).unwrap();
            (PLACE..PLACE + BYTES).step_by(4096).for_each(|page| write(page, 1));
            do_unmap(PLACE, BYTES).unwrap();
        }
    };
    let _wakes = Worker::start(252, wakes_again_and_again, 0);
    take_interrupts_off(0).unwrap();
    Worker::start(251, works, 0).wait().unwrap();
    let (late, longest) = (LATE.load(SeqCst), interrupts_off(0).unwrap());
    // The step, the timer's interrupt, the switch, and the thread's own way out.
    assert!(late > 0 && late < longest + 10_000, "{late} ns late, {longest} instructions");
    assert!(longest < LONGEST, "{longest} instructions");
}

/// The end of a process with much to give back, brought about by a thread of low priority, delays an
/// urgent one no more than that.
fn an_urgent_thread_waits_for_no_cleaning_up() {
    let _wakes = Worker::start(252, wakes_again_and_again, 0);
    let ends = |_: &Own| {
        let process = Process::create("large", 5000, 1 << 20).unwrap();
        let memory = MemoryObject::create(PAGES * 4096).unwrap();
        for page in 0..PAGES {
            guests::bare::map_into(&process, &memory, PLACE + 2 * page * 4096, 4096, Rights::READ)
                .unwrap();
            copy_to(memory.slot(), process.slot(), Rights::READ, 0).unwrap();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        core::mem::forget(memory);
    };
    const PAGES: u64 = 500;
    Worker::start(100, ends, 0).wait().unwrap();
    let late = LATE.load(SeqCst);
    assert!(late > 0 && late < LONGEST, "{late} ns late");
}
