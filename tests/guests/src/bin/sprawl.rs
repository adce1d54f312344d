//! Programs that use up their quota with mappings, and with the tables and the books that these need: an
//! error that changes nothing, after which they go on, and nothing to anybody else.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use guests::{
    bare::PAGE,
    children, cpus,
    mapped::{PLACE, READ_WRITE, do_map, do_protect, do_unmap, mapping, read, write},
    option, suite,
    threads::{granted, label},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, MemoryObject, Rights,
    abi::{arguments::MemoryMap, layout::STACK_TOP},
    endpoint::reply,
    memory::query,
    process::own_usage,
    start::take_granted,
    thread,
};

suite! {
    parallel: [
        endless_mappings_harm_nobody,
        endless_tables_harm_nobody,
        endless_guards_harm_nobody,
        endless_divisions_harm_nobody,
    ],
    roles: [sprawls, steady],
}

const FRAMES: u64 = 256;
const KERNEL_BYTES: u64 = 96 * 1024;

/// The object that is divided: the parent's, with all its pages there, and large ones where that can be.
const BYTES: u64 = 8 << 20;

/// Does `step` with 0, 1, ... until the quota is used up; gives how often it could.
fn until_full(step: impl Fn(u64) -> Result<(), Error>) -> u64 {
    let mut count = 0;
    let (usage, error) = loop {
        let usage = own_usage();
        match step(count) {
            Ok(()) => count += 1,
            Err(error) => break (usage, error),
        }
    };
    assert_eq!(error, Error::QuotaExceeded);
    for _ in 0..10 {
        assert_eq!(own_usage(), usage, "nothing has changed");
        assert_eq!(step(count), Err(Error::QuotaExceeded));
    }
    count
}

/// The same three times, each as far as the others, with all of it undone in between.
fn sprawl(step: impl Fn(u64) -> Result<(), Error>, is_there: impl Fn(u64), undo: impl Fn()) {
    let mut counts = [0; 3];
    for count in &mut counts {
        let before = own_usage();
        *count = until_full(&step);
        (0..*count).for_each(&is_there);
        undo();
        assert_eq!(own_usage(), before, "all is paid back");
    }
    assert!(counts[0] > 20 && counts == [counts[0]; 3], "{counts:?}");
}

/// All that the process has mapped itself: below the stack.
fn unmap_all() {
    do_unmap(PLACE, STACK_TOP - (1 << 40) - PLACE).unwrap();
}

/// One page at each of these distances.
fn pages(memory: &MemoryObject, distance: u64) {
    do_map(mapping(memory, PAGE)).unwrap();
    write(PLACE, 7);
    do_unmap(PLACE, PAGE).unwrap();
    let at = |number: u64| PLACE + number * distance;
    let step = |number| do_map(MemoryMap { address: at(number), ..mapping(memory, PAGE) });
    sprawl(step, |number| assert_eq!(read(at(number)), 7), unmap_all);
}

/// A new object at each page.
fn objects() {
    let at = |number: u64| PLACE + number * PAGE;
    let step = |number| {
        let memory = MemoryObject::create(PAGE)?;
        do_map(MemoryMap { address: at(number), ..mapping(&memory, PAGE) })
    };
    let is_there = |number| {
        assert_eq!(read(at(number)), 0);
        write(at(number), number);
    };
    sprawl(step, is_there, unmap_all);
}

/// Nothing at every other page.
fn guards() {
    let at = |number: u64| PLACE + 2 * number * PAGE;
    let step = |number| {
        let (memory, rights) = (CapSlot::NULL, Rights::empty());
        let (process, address, offset, bytes) = (CapSlot::NULL, at(number), 0, PAGE);
        do_map(MemoryMap { process, memory, address, offset, bytes, rights })
    };
    let is_there = |number| {
        let found = query(CapSlot::NULL, at(number)).unwrap();
        assert_eq!((found.address, found.rights), (at(number), Rights::empty()));
    };
    sprawl(step, is_there, unmap_all);
}

/// The parent's object, of which `divide` takes or changes every other page, given by its address.
fn divisions(divide: impl Fn(u64) -> Result<(), Error>) {
    let memory = MemoryObject::from_slot(take_granted(1).unwrap().into_slot());
    do_map(mapping(&memory, BYTES)).unwrap();
    let all_is_there = |from: u64| {
        for page in from..BYTES / PAGE {
            assert_eq!(read(PLACE + page * PAGE), page + 1);
        }
    };
    all_is_there(0);
    let at = |number: u64| PLACE + (2 * number + 1) * PAGE;
    let mut counts = [0; 3];
    for count in &mut counts {
        *count = until_full(|number| divide(at(number)));
        assert!(2 * *count + 1 < BYTES / PAGE, "there is more to divide");
        for number in 0..=*count {
            assert_eq!(read(at(number) - PAGE), 2 * number + 1);
        }
        // What could not be divided is as it was.
        all_is_there(2 * *count);
        write(at(*count), 2 * *count + 2);
        do_unmap(PLACE, BYTES).unwrap();
        do_map(mapping(&memory, BYTES)).unwrap();
        all_is_there(0);
    }
    assert!(counts[0] > 20 && counts == [counts[0]; 3], "{counts:?}");
    do_unmap(PLACE, BYTES).unwrap();
}

/// Uses up its quota as it is told, and can then do all that others can.
fn sprawls() {
    let memory = MemoryObject::create(PAGE).unwrap();
    // The tables that the runtime needs are there from now on.
    assert_eq!(thread::spawn(|| 6).unwrap().join(), Ok(6));
    match option("kind").unwrap() {
        "beside" => pages(&memory, PAGE),
        "apart" => pages(&memory, 2 * PAGE),
        "leaf" => pages(&memory, 2 << 20),
        "directory" => pages(&memory, 1 << 30),
        "pointers" => pages(&memory, 512 << 30),
        "objects" => objects(),
        "guards" => guards(),
        "unmap" => divisions(|address| do_unmap(address, PAGE)),
        "protect" => divisions(|address| do_protect(address, PAGE, Rights::READ)),
        other => panic!("{other}"),
    }
    works();
    assert_eq!(thread::spawn(|| 7).unwrap().join(), Ok(7));
}

/// Memory of its own, mapped, touched, cloned, and unmapped.
fn works() {
    let (bytes, other) = (8 * PAGE, PLACE + (3 << 30));
    let memory = MemoryObject::create(bytes).unwrap();
    do_map(mapping(&memory, bytes)).unwrap();
    for page in (0..bytes).step_by(PAGE as usize) {
        assert_eq!(read(PLACE + page), 0);
        write(PLACE + page, page + 1);
    }
    let clone = memory.clone_pages().unwrap();
    do_map(MemoryMap { address: other, ..mapping(&clone, bytes) }).unwrap();
    do_protect(PLACE + PAGE, PAGE, Rights::READ).unwrap();
    do_protect(PLACE + PAGE, PAGE, READ_WRITE).unwrap();
    for page in (0..bytes).step_by(PAGE as usize) {
        write(PLACE + page, 0);
        assert_eq!(read(other + page), page + 1);
    }
    do_unmap(PLACE, bytes).unwrap();
    do_unmap(other, bytes).unwrap();
}

/// Works in its own small quota until it is killed.
fn steady() {
    let told = granted(0);
    loop {
        (0..5).for_each(|_| works());
        told.call(&label(2)).unwrap();
    }
}

/// Lets one program sprawl in each of these ways, next to one that goes on working; then all is back.
fn harm_nobody(kinds: &[&str]) {
    let memory = MemoryObject::create(BYTES).unwrap();
    do_map(mapping(&memory, BYTES)).unwrap();
    (0..BYTES / PAGE).for_each(|page| write(PLACE + page * PAGE, page + 1));
    do_unmap(PLACE, BYTES).unwrap();
    cpus::leave_nothing(1, || {
        let told = Endpoint::create().unwrap();
        let steady = children::start("steady", |spawn| {
            spawn.quota(64, 32 * 1024).grant(told.slot(), Rights::SEND, 0)
        });
        let goes_on = || {
            assert_eq!(told.receive().map(|received| received.message), Ok(label(2)));
            reply(&label(2)).unwrap();
        };
        goes_on();
        for kind in kinds {
            let arguments = alloc::format!("kind={kind}");
            let child = children::start_with_arguments("sprawls", &arguments, |spawn| {
                let spawn = spawn.quota(FRAMES, KERNEL_BYTES);
                spawn.grant(told.slot(), Rights::SEND, 0).grant(memory.slot(), READ_WRITE, 0)
            });
            goes_on();
            children::succeed(&child);
            goes_on();
        }
        goes_on();
        steady.process.kill().unwrap();
        assert_eq!(steady.wait(), Ok(ExitReason::Killed));
    });
}

fn endless_mappings_harm_nobody() {
    harm_nobody(&["beside", "apart", "objects"]);
}

/// For one page every 2 MiB, 1 GiB and 512 GiB.
fn endless_tables_harm_nobody() {
    harm_nobody(&["leaf", "directory", "pointers"]);
}

fn endless_guards_harm_nobody() {
    harm_nobody(&["guards"]);
}

fn endless_divisions_harm_nobody() {
    harm_nobody(&["unmap", "protect"]);
}
