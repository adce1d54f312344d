//! Pages that become a large one, and large ones that are divided again: what is in them stays what it
//! was, in every place that shows it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

use guests::{
    counters::Counters,
    cpus::{self, bit, leave_nothing, scaled, seed, until},
    mapped::{PLACE, READ_WRITE, do_map, do_protect, do_unmap, mapping, read, write},
    random::Random,
    suite,
    threads::{MIDDLE, settle},
    workers::{Own, Worker},
};
use orbital_user::{
    ExitReason, FaultKind, MemoryObject, Rights,
    abi::{arguments::MemoryMap, layout::PAGE_SIZE as PAGE},
    thread,
};

suite! {
    cases: [a_large_page_does_without_a_table],
    parallel: [
        pages_keep_their_content_when_they_become_one,
        a_part_of_a_large_page_is_unmapped,
        a_part_of_a_large_page_is_protected,
        a_large_page_is_cloned,
        a_large_page_is_divided_while_others_use_it,
    ],
    roles: [],
}

/// How many pages a large one has.
const MANY: u64 = 512;
const LARGE: u64 = MANY * PAGE;
/// What the cases map: two large pages.
const PAGES: u64 = 2 * MANY;
const BYTES: u64 = 2 * LARGE;
/// Other places for the same: where large pages can be, and where not.
const SECOND: u64 = PLACE + 8 * LARGE;
const ASKEW: u64 = PLACE + 16 * LARGE + PAGE;

fn map_at(memory: &MemoryObject, address: u64, bytes: u64) {
    do_map(MemoryMap { address, ..mapping(memory, bytes) }).unwrap();
}

/// What stands at both ends of a page.
fn content(page: u64) -> u64 {
    0x1234_5678_0000 + page
}

fn put(place: u64, page: u64, value: u64) {
    write(place + page * PAGE, value);
    write(place + (page + 1) * PAGE - 8, !value);
}

#[track_caller]
fn assert_is(place: u64, page: u64, value: u64) {
    let at = place + page * PAGE;
    assert_eq!((read(at), read(at + PAGE - 8)), (value, !value), "page {page} at {place:#x}");
}

/// An object all of whose pages are there.
fn full() -> MemoryObject {
    let memory = MemoryObject::create(BYTES).unwrap();
    map_at(&memory, PLACE, BYTES);
    (0..PAGES).for_each(|page| put(PLACE, page, content(page)));
    do_unmap(PLACE, BYTES).unwrap();
    memory
}

/// An access of this process's own, by a thread that ends so.
#[track_caller]
fn assert_faults(kind: FaultKind, address: u64) {
    let touches = move || match kind {
        FaultKind::PageWrite => write(address, 1),
        _ => drop(read(address)),
    };
    let Err(ExitReason::Faulted(fault)) = thread::spawn(touches).unwrap().join() else {
        panic!("{address:#x} can be reached")
    };
    assert_eq!((fault.kind, fault.address), (kind, address));
}

/// How many frames it takes to touch each page at `place`.
fn frames_of_touches(place: u64) -> u64 {
    settle();
    let before = Counters::now().free_frames;
    (0..PAGES).for_each(|page| assert_is(place, page, content(page)));
    before - Counters::now().free_frames
}

/// This is how a case can tell: the tables for small pages are made when the first is touched.
fn a_large_page_does_without_a_table() {
    let memory = full();
    map_at(&memory, PLACE, BYTES);
    assert_eq!(frames_of_touches(PLACE), 0, "two large pages");
    map_at(&memory, ASKEW, BYTES);
    assert_eq!(frames_of_touches(ASKEW), 1, "the table of what is a window as a whole");
    // What only begins or ends in 2 MiB has small pages.
    do_map(MemoryMap { address: SECOND + PAGE, offset: PAGE, ..mapping(&memory, BYTES - PAGE) })
        .unwrap();
    settle();
    let before = Counters::now().free_frames;
    (1..PAGES).for_each(|page| assert_is(SECOND, page, content(page)));
    assert_eq!(before - Counters::now().free_frames, 0, "small pages, and a large one");
    // Not all pages are there: small ones.
    let memory = MemoryObject::create(LARGE).unwrap();
    do_unmap(PLACE, BYTES).unwrap();
    map_at(&memory, PLACE, LARGE);
    settle();
    let before = Counters::now().free_frames;
    write(PLACE, 1);
    assert!(Counters::now().free_frames < before, "a table");
    for (place, bytes) in [(PLACE, BYTES), (SECOND, BYTES), (ASKEW, BYTES)] {
        do_unmap(place, bytes).unwrap();
    }
}

/// Pages are touched in any order, at three places, until all are there: each shows what was written last.
fn pages_keep_their_content_when_they_become_one() {
    let mut random = Random::new(seed());
    leave_nothing(3, || {
        let memory = MemoryObject::create(BYTES).unwrap();
        let places = [PLACE, SECOND, ASKEW];
        places.iter().for_each(|place| map_at(&memory, *place, BYTES));
        let mut order: Vec<u64> = (0..PAGES).collect();
        for from in (1..order.len()).rev() {
            order.swap(from, random.below(from as u64 + 1) as usize);
        }
        let mut values = [0; PAGES as usize];
        for (number, page) in order.iter().enumerate() {
            assert_eq!(read(random.pick(&places) + page * PAGE), 0, "page {page}");
            values[*page as usize] = content(*page);
            put(random.pick(&places), *page, content(*page));
            // One that was there before.
            let other = order[random.below(number as u64 + 1) as usize];
            assert_is(random.pick(&places), other, values[other as usize]);
            values[other as usize] = random.bits();
            put(random.pick(&places), other, values[other as usize]);
        }
        for _ in 0..2 {
            for place in places {
                (0..PAGES).for_each(|page| assert_is(place, page, values[page as usize]));
            }
            // The second time they are mapped anew.
            do_unmap(PLACE, BYTES).unwrap();
            map_at(&memory, PLACE, BYTES);
        }
        places.iter().for_each(|place| do_unmap(*place, BYTES).unwrap());
    });
}

/// Ranges of pages: in one large page, over its ends, all of one, all of both.
const RANGES: [(u64, u64); 9] = [
    (0, 1),
    (511, 512),
    (100, 200),
    (1, 511),
    (0, 512),
    (511, 513),
    (200, 900),
    (513, 1024),
    (0, 1024),
];

/// All the pages outside show what they did, those inside can't be reached, until they are mapped again.
fn a_part_of_a_large_page_is_unmapped() {
    let memory = full();
    for (from, to) in RANGES {
        map_at(&memory, PLACE, BYTES);
        map_at(&memory, SECOND, BYTES);
        [0, MANY].iter().for_each(|page| assert_is(PLACE, *page, content(*page)));
        do_unmap(PLACE + from * PAGE, (to - from) * PAGE).unwrap();
        let outside = (0..PAGES).filter(|page| !(from..to).contains(page));
        outside.clone().for_each(|page| assert_is(PLACE, page, content(page)));
        for page in [from, to - 1] {
            assert_faults(FaultKind::PageRead, PLACE + page * PAGE);
            assert_faults(FaultKind::PageWrite, PLACE + page * PAGE);
        }
        // What is written now at one place is at the other too.
        outside.clone().for_each(|page| put(PLACE, page, !content(page)));
        outside.for_each(|page| assert_is(SECOND, page, !content(page)));
        (from..to).for_each(|page| assert_is(SECOND, page, content(page)));
        let (address, offset) = (PLACE + from * PAGE, from * PAGE);
        do_map(MemoryMap { address, offset, ..mapping(&memory, (to - from) * PAGE) }).unwrap();
        (from..to).for_each(|page| assert_is(PLACE, page, content(page)));
        (0..PAGES).for_each(|page| put(SECOND, page, content(page)));
        (0..PAGES).for_each(|page| assert_is(PLACE, page, content(page)));
        do_unmap(PLACE, BYTES).unwrap();
        do_unmap(SECOND, BYTES).unwrap();
    }
}

/// The pages of a range can be read, or nothing, and then written again; all others are written throughout.
fn a_part_of_a_large_page_is_protected() {
    let memory = full();
    for (from, to) in RANGES {
        map_at(&memory, PLACE, BYTES);
        [0, MANY].iter().for_each(|page| assert_is(PLACE, *page, content(*page)));
        let (address, bytes) = (PLACE + from * PAGE, (to - from) * PAGE);
        let outside = (0..PAGES).filter(|page| !(from..to).contains(page));
        for rights in [Rights::READ, Rights::empty()] {
            do_protect(address, bytes, rights).unwrap();
            outside.clone().for_each(|page| put(PLACE, page, content(page)));
            if rights.is_empty() {
                assert_faults(FaultKind::PageRead, address);
                assert_faults(FaultKind::PageRead, address + bytes - PAGE);
            } else {
                (0..PAGES).for_each(|page| assert_is(PLACE, page, content(page)));
            }
            assert_faults(FaultKind::PageWrite, address);
            assert_faults(FaultKind::PageWrite, address + bytes - PAGE);
        }
        do_protect(address, bytes, READ_WRITE).unwrap();
        (0..PAGES).for_each(|page| assert_is(PLACE, page, content(page)));
        (0..PAGES).for_each(|page| put(PLACE, page, content(page)));
        do_unmap(PLACE, BYTES).unwrap();
    }
}

/// A clone shows what was there, and neither shows what is written to the other; when one is gone, the other
/// is whole.
fn a_large_page_is_cloned() {
    leave_nothing(2, || {
        let memory = full();
        map_at(&memory, PLACE, BYTES);
        map_at(&memory, ASKEW, BYTES);
        [0, MANY].iter().for_each(|page| assert_is(PLACE, *page, content(*page)));
        let clone = memory.clone_pages().unwrap();
        map_at(&clone, SECOND, BYTES);
        for page in 0..PAGES {
            match page % 4 {
                0 => put(PLACE, page, !page),
                1 => put(SECOND, page, !page),
                _ => (),
            }
        }
        let here = |page: u64| if page.is_multiple_of(4) { !page } else { content(page) };
        let there = |page: u64| if page % 4 == 1 { !page } else { content(page) };
        for page in 0..PAGES {
            assert_is(PLACE, page, here(page));
            assert_is(ASKEW, page, here(page));
            assert_is(SECOND, page, there(page));
        }
        do_unmap(PLACE, BYTES).unwrap();
        do_unmap(ASKEW, BYTES).unwrap();
        drop(memory);
        for page in 0..PAGES {
            assert_is(SECOND, page, there(page));
            put(SECOND, page, content(page));
        }
        (0..PAGES).for_each(|page| assert_is(SECOND, page, content(page)));
        do_unmap(SECOND, BYTES).unwrap();
    });
}

/// Whether the workers are to stop.
static IS_OVER: AtomicU64 = AtomicU64::new(0);
/// Turns of all.
static TURNS: AtomicU64 = AtomicU64::new(0);
/// The only page that is taken from the middle of the large page.
const TAKEN: u64 = 77;

/// Counts up a word of each page but the one, again and again: at the worker's own offset.
fn counts(own: &Own) {
    let at = |page: u64| PLACE + page * PAGE + 8 * own.argument;
    let mut turns = 0;
    while IS_OVER.load(SeqCst) == 0 {
        for page in (0..MANY).filter(|page| *page != TAKEN) {
            assert_eq!(read(at(page)), turns, "page {page}");
            write(at(page), turns + 1);
        }
        turns += 1;
        TURNS.fetch_add(1, SeqCst);
    }
    (0..MANY).filter(|page| *page != TAKEN).for_each(|page| write(at(page), 0));
}

/// A page is taken out of a large one, or protected, while all CPUs use the rest: they lose nothing.
fn a_large_page_is_divided_while_others_use_it() {
    cpus::be_equal();
    let memory = MemoryObject::create(LARGE).unwrap();
    map_at(&memory, PLACE, LARGE);
    (0..MANY).for_each(|page| write(PLACE + page * PAGE, 0));
    do_unmap(PLACE, LARGE).unwrap();
    for round in 0..scaled(200) {
        map_at(&memory, PLACE, LARGE);
        IS_OVER.store(0, SeqCst);
        TURNS.store(0, SeqCst);
        let workers: Vec<_> = (0..cpus::count())
            .map(|cpu| Worker::on(bit(cpu), MIDDLE, counts, cpu as u64))
            .collect();
        until(|| TURNS.load(SeqCst) > 0);
        let page = PLACE + TAKEN * PAGE;
        if round % 2 == 0 {
            do_unmap(page, PAGE).unwrap();
        } else {
            do_protect(page, PAGE, Rights::READ).unwrap();
        }
        let turns = TURNS.load(SeqCst);
        until(|| TURNS.load(SeqCst) > turns + 2);
        IS_OVER.store(1, SeqCst);
        for worker in workers {
            assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
        }
        do_unmap(PLACE, LARGE).unwrap();
    }
}
