//! How much of the machine's memory there is for programs, and that they can really use it.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    bare::PAGE,
    counters::leaves_nothing,
    mapped::{PLACE, do_map, do_unmap, mapping, read, write},
    suite,
};
use orbital_user::{
    Error, MemoryObject,
    abi::{arguments::MemoryMap, statistics::Statistic},
    println,
    system::statistic,
};

suite! {
    cases: [counts_agree],
    on "memory=64M": [memory_of_64_mib],
    on "memory=256M": [memory_of_256_mib],
    on "memory=4G": [memory_of_4_gib],
    on "memory=8G": [memory_of_8_gib],
    roles: [],
}

const MIB: u64 = 1 << 20;

fn counter(which: Statistic) -> u64 {
    statistic(which).expect("the right to read counters")
}

/// Free, cached and all frames are counted as one would have it, also while frames come and go.
fn counts_agree() {
    for pages in [1, 31, 32, 33, 64, 65, 300] {
        leaves_nothing(1, || counts_agree_over(pages));
    }
}

fn counts_agree_over(pages: u64) {
    let before = counter(Statistic::FreeFrames);
    // A few pages each: they are given back at once.
    for page in (0..pages).step_by(16) {
        let (address, bytes) = (PLACE + page * PAGE, (pages - page).min(16) * PAGE);
        let memory = MemoryObject::create(bytes).unwrap();
        do_map(MemoryMap { address, ..mapping(&memory, bytes) }).unwrap();
    }
    (0..pages).for_each(|page| write(PLACE + page * PAGE, 1));
    let (free, cached) = (counter(Statistic::FreeFrames), counter(Statistic::CachedFrames));
    assert!(free + pages <= before, "{pages} pages of {before} leave {free}");
    assert!(cached <= free && cached <= 64, "{cached} of {free}");
    let largest = counter(Statistic::LargestFreeBlock);
    assert!(largest.is_power_of_two() && largest <= free - cached, "{largest} of {free}");
    let (total, reported) = (counter(Statistic::TotalFrames), counter(Statistic::ReportedFrames));
    assert!(free < total && total < reported, "{free} of {total} of {reported}");
    do_unmap(PLACE, pages * PAGE).unwrap();
}

fn memory_of_64_mib() {
    let reported = reported(64);
    println!("{}", share(reported));
    fill(u64::MAX);
}

fn memory_of_256_mib() {
    is_nearly_all(256);
    fill(u64::MAX);
}

/// Some of it: what programs touch, the host has to have.
fn memory_of_4_gib() {
    is_nearly_all(4 << 10);
    fill(256 * MIB);
}

fn memory_of_8_gib() {
    is_nearly_all(8 << 10);
    fill(256 * MIB);
}

/// What the loader said there is, in frames. The machine has `mebibytes`, of which firmware keeps a
/// little.
fn reported(mebibytes: u64) -> u64 {
    let (reported, all) = (counter(Statistic::ReportedFrames), mebibytes * MIB / PAGE);
    assert!(reported <= all && reported >= all - 2 * MIB / PAGE, "{reported} of {all} frames");
    reported
}

/// How much of that there is for programs, in words.
fn share(reported: u64) -> alloc::string::String {
    let total = counter(Statistic::TotalFrames);
    let permille = total * 1000 / reported;
    alloc::format!("{total} of {reported} frames, {permille} in a thousand")
}

fn is_nearly_all(mebibytes: u64) {
    let reported = reported(mebibytes);
    println!("{}", share(reported));
    assert!(counter(Statistic::TotalFrames) * 100 >= reported * 95, "{}", share(reported));
}

/// How large an object is.
const CHUNK: u64 = 2 * MIB;

/// Takes memory until there is no more, or `most` bytes; writes to each page its own number, and finds
/// all of them again. What a process may have is all but the kernel heap's part, one frame in eight.
fn fill(most: u64) {
    leaves_nothing(1, || {
        let free = counter(Statistic::FreeFrames) * PAGE;
        let mut objects = Vec::with_capacity(4096);
        let mut end = PLACE;
        while end - PLACE < most {
            let memory = match MemoryObject::create(CHUNK) {
                Ok(memory) => memory,
                Err(error) => {
                    assert_eq!(error, Error::QuotaExceeded);
                    break;
                }
            };
            match do_map(MemoryMap { address: end, ..mapping(&memory, CHUNK) }) {
                Ok(()) => objects.push(memory),
                Err(error) => {
                    assert_eq!(error, Error::QuotaExceeded);
                    break;
                }
            }
            end += CHUNK;
        }
        println!("a program has {} of {} MiB that were free", (end - PLACE) / MIB, free / MIB);
        assert!(end - PLACE >= most.min(free / 100 * 80), "{} bytes", end - PLACE);
        let pages = || (PLACE..end).step_by(PAGE as usize);
        for page in pages() {
            assert_eq!((read(page), read(page + PAGE - 8)), (0, 0), "{page:#x} was not zero");
            write(page, page);
            write(page + PAGE - 8, !page);
        }
        for page in pages() {
            assert_eq!((read(page), read(page + PAGE - 8)), (page, !page), "{page:#x}");
        }
        do_unmap(PLACE, end - PLACE).unwrap();
    });
}
