//! Work of the kernel's that takes long: the end of a process that has much, and the unmapping of much. It
//! goes in short steps, others go on meanwhile, and whoever it is for may end in the middle.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    bare::PAGE,
    children, cpus,
    cpus::{leave_nothing, spin},
    mapped::{PLACE, READ_WRITE, do_map, do_protect, do_unmap, mapping, read, write},
    suite,
    threads::{MIDDLE, granted, label},
    workers::{Own, Worker},
};
use orbital_user::{
    CapSlot, Endpoint, ExitReason, MemoryObject, Rights, abi::arguments::MemoryMap, clock,
    memory::query, println, system::take_interrupts_off, thread::yield_now,
};

suite! {
    parallel: [
        a_thread_is_killed_while_it_unmaps,
        a_thread_is_killed_while_it_protects,
    ],
    on "icount pinned memory=256M": [
        a_process_with_much_ends_in_short_steps,
        much_memory_is_unmapped_in_short_steps,
        much_memory_is_cloned_in_short_steps,
    ],
    roles: [hoarder],
}

const LARGE: u64 = 64 << 20;
const MAPPINGS: u64 = 10_000;
/// What a process with so much may have: twice the memory, for tables, and kernel memory for its mappings.
const QUOTA: (u64, u64) = (2 * LARGE / PAGE, 8 << 20);
/// The longest stretch with interrupts off, in instructions, be it in the kernel that is built for tests.
const LONGEST: u64 = 10_000;

/// Maps as much as it shall have, touches it, and waits.
fn hoarder() {
    let told = granted(0);
    let memory = MemoryObject::create(LARGE).unwrap();
    do_map(mapping(&memory, LARGE)).unwrap();
    (0..LARGE / PAGE).for_each(|page| write(PLACE + page * PAGE, page));
    let end = PLACE + LARGE;
    // With a page between them: no two are one.
    for number in 0..MAPPINGS - 1 {
        let (address, offset) = (end + (2 * number + 1) * PAGE, number * PAGE);
        do_map(MemoryMap { address, offset, ..mapping(&memory, PAGE) }).unwrap();
        assert_eq!(read(address), number);
    }
    told.send(&label(2)).unwrap();
    clock::sleep_until(u64::MAX);
}

/// Turns of a thread that always wants to run, and of one that is more urgent and sleeps now and then.
static EQUAL: AtomicU64 = AtomicU64::new(0);
static URGENT: AtomicU64 = AtomicU64::new(0);
/// How long a thread goes on while an equal one waits, in nanoseconds, be it in the kernel.
const SLICE: u64 = 1_000_000;
/// Nanoseconds that the other sleeps; under `icount` as many instructions.
const NAP: u64 = 50_000;

fn runs(_: &Own) {
    loop {
        EQUAL.fetch_add(1, SeqCst);
        spin(100);
    }
}

fn naps(_: &Own) {
    loop {
        clock::sleep(NAP);
        URGENT.fetch_add(1, SeqCst);
    }
}

/// Does `work` next to two others; tells how long interrupts were off at most, and how often the others had
/// their turns.
fn next_to_others(what: &str, work: impl FnOnce()) {
    cpus::be_equal();
    let _others = [Worker::start(MIDDLE, runs, 0), Worker::start(MIDDLE + 1, naps, 0)];
    yield_now();
    let turns = || [&EQUAL, &URGENT].map(|turns| turns.load(SeqCst));
    let (before, start) = (turns(), clock::now());
    take_interrupts_off(0).unwrap();
    work();
    let longest = take_interrupts_off(0).unwrap();
    let time = clock::now() - start;
    let [equal, urgent] = [0, 1].map(|who| turns()[who] - before[who]);
    println!(
        "{what}: {time} instructions, {longest} at once; {equal} and {urgent} turns of others"
    );
    let shared = time.saturating_sub(2 * SLICE);
    assert!(equal >= shared / 100_000, "where it takes long, an equal one has its share");
    assert!(urgent >= time / NAP / 2, "it sleeps no longer than it wants to");
    assert!(longest < LONGEST, "{longest} instructions with interrupts off");
}

fn a_process_with_much_ends_in_short_steps() {
    let told = Endpoint::create().unwrap();
    let child = children::start("hoarder", |spawn| {
        spawn.quota(QUOTA.0, QUOTA.1).grant(told.slot(), Rights::SEND, 0)
    });
    assert_eq!(told.receive().map(|received| received.message), Ok(label(2)));
    next_to_others("a process ends", || {
        child.process.kill().unwrap();
        assert_eq!(child.wait(), Ok(ExitReason::Killed));
    });
}

/// Small pages, and large ones.
fn much_memory_is_unmapped_in_short_steps() {
    let memory = MemoryObject::create(LARGE).unwrap();
    for (what, address) in [("small pages", PLACE + PAGE), ("large pages", PLACE)] {
        do_map(MemoryMap { address, ..mapping(&memory, LARGE) }).unwrap();
        (0..LARGE / PAGE).for_each(|page| write(address + page * PAGE, page));
        // Once more, as they are all there now.
        do_unmap(address, LARGE).unwrap();
        do_map(MemoryMap { address, ..mapping(&memory, LARGE) }).unwrap();
        (0..LARGE / PAGE).for_each(|page| assert_eq!(read(address + page * PAGE), page));
        next_to_others(what, || do_unmap(address, LARGE).unwrap());
    }
}

/// Small pages, and large ones: what was a block of memory becomes single pages.
fn much_memory_is_cloned_in_short_steps() {
    for (what, address) in [("a clone of small pages", PLACE + PAGE), ("of large pages", PLACE)] {
        let memory = MemoryObject::create(LARGE).unwrap();
        do_map(MemoryMap { address, ..mapping(&memory, LARGE) }).unwrap();
        (0..LARGE / PAGE).for_each(|page| write(address + page * PAGE, page));
        let mut clone = None;
        next_to_others(what, || clone = Some(memory.clone_pages().unwrap()));
        do_unmap(address, LARGE).unwrap();
        let clone = clone.unwrap();
        do_map(MemoryMap { address, ..mapping(&clone, LARGE) }).unwrap();
        (0..LARGE / PAGE).for_each(|page| assert_eq!(read(address + page * PAGE), page));
        do_unmap(address, LARGE).unwrap();
        next_to_others("its end", || drop((memory, clone)));
    }
}

/// What the killed threads work on: large pages.
const BYTES: u64 = 16 << 20;
/// A range that begins and ends within a page of its ends.
const INNER: (u64, u64) = (PLACE + PAGE, BYTES - 2 * PAGE);

fn unmaps(_: &Own) {
    let _ = do_unmap(INNER.0, INNER.1);
}

fn protects(_: &Own) {
    let _ = do_protect(INNER.0, INNER.1, Rights::READ);
}

/// Kills a thread that runs `body` at other moments each time; `check` looks at what is left.
fn kill_at_any_time(body: fn(&Own), check: impl Fn()) {
    cpus::be_equal();
    let memory = MemoryObject::create(BYTES).unwrap();
    let map = || do_map(mapping(&memory, BYTES)).unwrap();
    map();
    (0..BYTES / PAGE).for_each(|page| write(PLACE + page * PAGE, page));
    do_unmap(PLACE, BYTES).unwrap();
    let mut turns = 0;
    leave_nothing(40, || {
        map();
        for page in 0..BYTES / PAGE {
            assert_eq!(read(PLACE + page * PAGE), page);
        }
        let worker = Worker::start(MIDDLE, body, 0);
        for _ in 0..turns {
            spin(200);
            yield_now();
        }
        turns = (turns + 1) % 40;
        // It may be over.
        let _ = worker.kill();
        worker.wait().unwrap();
        drop(worker);
        // Whoever changes something helps what goes on to its end.
        do_unmap(PLACE + 2 * BYTES, PAGE).unwrap();
        check();
        for page in [0, BYTES / PAGE - 1] {
            assert_eq!(read(PLACE + page * PAGE), page);
        }
        do_unmap(PLACE, BYTES).unwrap();
    });
}

/// All of the range is gone, or nothing.
fn a_thread_is_killed_while_it_unmaps() {
    kill_at_any_time(unmaps, || {
        let first = query(CapSlot::NULL, PLACE).unwrap();
        if first.bytes == BYTES {
            return;
        }
        assert_eq!((first.address, first.bytes), (PLACE, PAGE));
        let next = query(CapSlot::NULL, PLACE + PAGE).unwrap();
        assert_eq!((next.address, next.bytes), (PLACE + BYTES - PAGE, PAGE));
    });
}

/// All of the range can be read, or all can be written as before.
fn a_thread_is_killed_while_it_protects() {
    kill_at_any_time(protects, || {
        let first = query(CapSlot::NULL, PLACE).unwrap();
        if first.bytes == BYTES {
            return assert_eq!(first.rights, READ_WRITE);
        }
        let next = query(CapSlot::NULL, PLACE + PAGE).unwrap();
        assert_eq!((next.address, next.bytes, next.rights), (INNER.0, INNER.1, Rights::READ));
        for page in 1..BYTES / PAGE - 1 {
            assert_eq!(read(PLACE + page * PAGE), page);
        }
    });
}
