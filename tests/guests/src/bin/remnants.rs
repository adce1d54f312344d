//! Memory that was another's: whoever gets it finds zeros, whatever was written to it, however it was given
//! back, and wherever.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    bare::PAGE,
    children, cpus,
    mapped::{PLACE, do_map, do_unmap, mapping, read, write},
    option, suite,
    threads::granted,
};
use orbital_user::{
    Endpoint, Error, ExitReason, MemoryObject, Message, Rights, abi::arguments::MemoryMap, clock,
    println, process::own_usage, spawn::Child,
};

suite! {
    parallel: [all_memory_comes_clean, memory_comes_clean_on_all_cpus_at_once],
    on "memory=64M cpus=1,2": [all_of_little_memory_comes_clean],
    roles: [dirties],
}

/// Objects of a large page first, then smaller ones, to have all of it.
const SIZES: [u64; 3] = [512 * PAGE, 16 * PAGE, PAGE];

/// What a process has taken: objects, and the end of the addresses from [`PLACE`] on where they are.
struct Taken {
    objects: Vec<MemoryObject>,
    end: u64,
}

/// Takes as much as the quota has.
fn take_all() -> Taken {
    let mut taken = Taken { objects: Vec::with_capacity(1024), end: PLACE };
    for bytes in SIZES {
        let mut take = || -> Result<(), Error> {
            let memory = MemoryObject::create(bytes)?;
            do_map(MemoryMap { address: taken.end, ..mapping(&memory, bytes) })?;
            taken.objects.push(memory);
            taken.end += bytes;
            Ok(())
        };
        let error = loop {
            if let Err(error) = take() {
                break error;
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
    }
    taken
}

fn words(end: u64) -> impl Iterator<Item = u64> {
    (PLACE..end).step_by(8)
}

/// Finds zeros, and leaves something else, a word of its own in each place.
fn dirty(end: u64) {
    for word in words(end) {
        assert_eq!(read(word), 0, "{word:#x}");
        write(word, !word);
    }
    // Each page is there once.
    for word in words(end).step_by(64) {
        assert_eq!(read(word), !word, "{word:#x}");
    }
}

/// Makes dirty pages that two objects share, and that one of them has copied.
fn dirty_clones() {
    let bytes = 3 * SIZES[0];
    let memory = MemoryObject::create(bytes).unwrap();
    do_map(mapping(&memory, bytes)).unwrap();
    dirty(PLACE + bytes);
    let clone = memory.clone_pages().unwrap();
    let other = PLACE + 2 * bytes;
    do_map(MemoryMap { address: other, ..mapping(&clone, bytes) }).unwrap();
    let pages = || (0..bytes / PAGE).map(|page| (page, page * PAGE));
    for (page, at) in pages() {
        match page % 3 {
            0 => write(PLACE + at, page),
            1 => write(other + at, page),
            _ => (),
        }
    }
    for (page, at) in pages() {
        let before = !(PLACE + at);
        let (here, there) = (read(PLACE + at), read(other + at));
        let expected = [(page, before), (before, page), (before, before)];
        assert_eq!((here, there), expected[page as usize % 3], "page {page}");
    }
    do_unmap(PLACE, bytes).unwrap();
    drop(memory);
    do_unmap(other, bytes).unwrap();
}

/// Takes all, gives it back, and takes it again; tells how many pages that were.
fn dirties() {
    let first = take_all();
    dirty(first.end);
    do_unmap(PLACE, first.end - PLACE).unwrap();
    drop(first);
    dirty_clones();
    let second = take_all();
    dirty(second.end);
    let pages = (second.end - PLACE) / PAGE;
    granted(0).send(&Message::new(0, &[pages]).unwrap()).unwrap();
    if option("stays").is_some() {
        clock::sleep_until(u64::MAX);
    }
}

/// What each of so many processes can have: all that there is, but for what their programs take, and the
/// tables of this one.
fn share(processes: u64) -> u64 {
    let usage = own_usage().unwrap();
    (usage.frames_limit - usage.frames_used - 512) / processes - 256
}

/// Starts processes that have so many frames, and waits for their end, by themselves or not; gives the pages
/// that they had.
fn round(processes: u64, frames: u64, is_killed: bool) -> u64 {
    let told = Endpoint::create().unwrap();
    let arguments = if is_killed { "stays=1" } else { "" };
    let start = |_| {
        children::start_with_arguments("dirties", arguments, |spawn| {
            spawn.quota(frames, 256 * 1024).grant(told.slot(), Rights::SEND, 0)
        })
    };
    let children: Vec<Child> = (0..processes).map(start).collect();
    let mut pages = 0;
    for _ in 0..processes {
        pages += told.receive().unwrap().message.words()[0];
    }
    for child in children {
        if is_killed {
            child.process.kill().unwrap();
        }
        let expected = if is_killed { ExitReason::Killed } else { ExitReason::Exited(0) };
        assert_eq!(child.wait(), Ok(expected));
    }
    pages
}

fn comes_clean(processes: u64) {
    cpus::be_equal();
    let frames = share(processes);
    let pages = round(processes, frames, false);
    println!("{pages} pages of {processes} times {frames} frames");
    assert!(pages > processes * frames * 9 / 10);
    // What the first start took for good is this program's own heap.
    let used = || own_usage().unwrap().frames_used;
    let before = used();
    for is_killed in [true, false] {
        assert_eq!(round(processes, frames, is_killed), pages);
        assert_eq!(used(), before, "what a process had is back when its end is told");
    }
}

fn all_memory_comes_clean() {
    comes_clean(1);
}

fn memory_comes_clean_on_all_cpus_at_once() {
    comes_clean(cpus::count() as u64 + 1);
}

fn all_of_little_memory_comes_clean() {
    comes_clean(1);
}
