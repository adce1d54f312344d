//! What was mapped through a capability is gone when a revoke of that has returned, on every CPU: a touch is a fault.
//! What was mapped through others stays. What else was set through one is as if it had never been.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{format, vec::Vec};
use core::mem::ManuallyDrop;

use guests::{
    children,
    counters::leaves_nothing,
    cpus::scaled,
    mapped::{PLACE, READ_WRITE, do_map, do_unmap, mapping, read, write},
    option, own_thread, suite,
    threads::{self, granted, label},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, FaultKind, IpcError, MemoryObject, Notification, Process,
    Rights, Timer,
    abi::{arguments::MemoryMap, layout::PAGE_SIZE},
    capability::{close, copy_to, inspect, move_to, revoke},
    memory::query,
    spawn::Child,
    start::{bootstrap, take_granted},
    thread::{self, yield_now},
};

suite! {
    cases: [
        a_touch_after_a_revoke_is_a_fault,
        what_is_mapped_in_another_process_goes_too,
        what_was_set_is_as_if_it_had_never_been,
        nothing_is_left_behind,
    ],
    on "cpus=1,2,4": [processes_that_write_are_stopped_by_a_revoke],
    roles: [writer, stranger],
}

const ALL: Rights = Rights::all();
const PAGES: u64 = 8;
const BYTES: u64 = PAGES * PAGE_SIZE;

fn copy(source: CapSlot) -> CapSlot {
    copy_to(source, CapSlot::NULL, ALL, 0).unwrap()
}

/// All of the object in `memory`, at a place behind [`PLACE`].
fn all_of(memory: CapSlot, process: CapSlot, number: u64) -> MemoryMap {
    let address = PLACE + number * 2 * BYTES;
    MemoryMap { process, memory, address, offset: 0, bytes: BYTES, rights: READ_WRITE }
}

/// Whether something is mapped there.
fn is_mapped(process: CapSlot, address: u64) -> bool {
    query(process, address).is_ok_and(|found| found.address <= address)
}

fn a_touch_after_a_revoke_is_a_fault() {
    let memory = MemoryObject::create(BYTES).unwrap();
    let root = memory.slot();
    let [kept, beside] = [copy(root), copy(root)];
    let closed = copy(kept);
    for (number, slot) in [root, kept, beside, closed].into_iter().enumerate() {
        do_map(all_of(slot, CapSlot::NULL, number as u64)).unwrap();
    }
    close(closed).unwrap();
    let at = |number: u64| all_of(root, CapSlot::NULL, number).address;
    (0..4).for_each(|number| write(at(number), number));
    // It divides what goes.
    do_unmap(at(3) + PAGE_SIZE, PAGE_SIZE).unwrap();
    revoke(kept).unwrap();
    assert_eq!([0, 1, 2].map(|number| read(at(number))), [3; 3], "nothing of its own has gone");
    move_to(beside, CapSlot::NULL).unwrap();
    revoke(root).unwrap();
    assert_eq!(read(at(0)), 3);
    for address in [at(1), at(2), at(3), at(3) + 2 * PAGE_SIZE] {
        assert!(!is_mapped(CapSlot::NULL, address));
        let Err(ExitReason::Faulted(fault)) =
            thread::spawn(move || write(address, 1)).unwrap().join()
        else {
            panic!("{address:#x} can be reached")
        };
        assert_eq!((fault.kind, fault.address), (FaultKind::PageWrite, address));
    }
    for (slot, error) in [(kept, Error::StaleCapability), (root, Error::AddressInUse)] {
        assert_eq!(do_map(all_of(slot, CapSlot::NULL, 0)), Err(error));
    }
    do_unmap(at(0), BYTES).unwrap();
}

/// Maps what it was given for its parent, and for itself, and ends.
fn stranger() {
    let (memory, parent) = (take_granted(0).unwrap(), take_granted(1).unwrap());
    do_map(all_of(memory.slot(), parent.slot(), 1)).unwrap();
    do_map(all_of(copy(memory.slot()), parent.slot(), 2)).unwrap();
}

fn what_is_mapped_in_another_process_goes_too() {
    let memory = MemoryObject::create(BYTES).unwrap();
    do_map(mapping(&memory, BYTES)).unwrap();
    let handed = copy(memory.slot());
    let stranger = children::start("stranger", |spawn| {
        spawn.grant(handed, ALL, 0).grant(bootstrap().process, Rights::MANAGE, 0)
    });
    children::succeed(&stranger);
    let at = |number| all_of(handed, CapSlot::NULL, number).address;
    write(PLACE, 7);
    assert_eq!([1, 2].map(|number| read(at(number))), [7; 2]);
    revoke(handed).unwrap();
    assert_eq!([1, 2].map(|number| is_mapped(CapSlot::NULL, at(number))), [false; 2]);
    assert_eq!(read(PLACE), 7);
    do_unmap(PLACE, BYTES).unwrap();
    close(handed).unwrap();
}

/// A fault handler, a timer, a binding.
fn what_was_set_is_as_if_it_had_never_been() {
    let [faults, go, bound] = [(); 3].map(|()| Endpoint::create().unwrap());
    let word = Notification::create().unwrap();
    let [handler, signalled, receiver] = [faults.slot(), word.slot(), bound.slot()].map(copy);
    let gate = copy(go.slot());
    let faulting = thread::spawn(move || {
        threads::endpoint(gate).receive().unwrap();
        write(PLACE, 1);
    })
    .unwrap();
    faulting.thread().set_fault_handler(handler).unwrap();
    let timer = Timer::create(&ManuallyDrop::new(Notification::from_slot(signalled)), 1).unwrap();
    timer.set(u64::MAX - 1).unwrap();
    threads::endpoint(receiver).bind(faulting.thread().slot()).unwrap();
    assert_eq!(bound.try_receive().err(), Some(IpcError::BoundToAnother));
    for root in [faults.slot(), word.slot(), bound.slot()] {
        revoke(root).unwrap();
    }
    assert_eq!(bound.try_receive().err(), Some(IpcError::WouldBlock));
    assert_eq!(timer.set(0), Err(Error::Revoked));
    assert_eq!(word.poll(), Err(Error::WouldBlock));
    go.send(&label(0)).unwrap();
    let Err(ExitReason::Faulted(fault)) = faulting.join() else { panic!("it was handled") };
    assert_eq!(fault.address, PLACE);
    assert_eq!(faults.try_receive().err(), Some(IpcError::WouldBlock), "nobody was told");
}

/// Maps what it was given, does something to its capability, and counts on its own page until it can't.
fn writer() {
    let (memory, gate) = (take_granted(0).unwrap().into_slot(), granted(1));
    let number: u64 = option("number").unwrap().parse().unwrap();
    do_map(all_of(memory, CapSlot::NULL, 0)).unwrap();
    match number % 4 {
        0 => close(memory).unwrap(),
        1 => drop(move_to(memory, CapSlot::NULL).unwrap()),
        2 => drop(copy(memory)),
        _ => {}
    }
    gate.send(&label(1)).unwrap();
    let place = PLACE + number * PAGE_SIZE;
    let mut count = 0;
    loop {
        count += 1;
        write(place, count);
    }
}

fn writers(memory: CapSlot, numbers: core::ops::Range<u64>, gate: &Endpoint) -> Vec<Child> {
    let writers = numbers.map(|number| {
        let arguments = format!("number={number}");
        let writer = children::start_with_arguments("writer", &arguments, |spawn| {
            spawn.grant(memory, ALL, 0).grant(gate.slot(), Rights::SEND, 0)
        });
        gate.receive().unwrap();
        // As an equal it takes turns with them.
        let priority = writer.thread.inspect().unwrap().priority;
        own_thread().set_priority(priority).unwrap();
        writer
    });
    writers.collect()
}

/// Four processes write by a capability that is revoked, three by others, all the time.
fn processes_that_write_are_stopped_by_a_revoke() {
    let gate = Endpoint::create().unwrap();
    for _ in 0..scaled(50) {
        let memory = MemoryObject::create(BYTES).unwrap();
        do_map(mapping(&memory, BYTES)).unwrap();
        let words = || (0..PAGES).map(|page| read(PLACE + page * PAGE_SIZE)).collect::<Vec<_>>();
        let handed = copy(memory.slot());
        let (stopped, going) = (writers(handed, 0..4, &gate), writers(memory.slot(), 4..7, &gate));
        while words()[..7].contains(&0) {
            yield_now();
        }
        revoke(handed).unwrap();
        let before = words();
        for writer in &stopped {
            let Ok(ExitReason::Faulted(fault)) = writer.wait() else { panic!("it writes on") };
            assert_eq!(fault.kind, FaultKind::PageWrite);
            assert!((PLACE..PLACE + BYTES).contains(&fault.address), "{:#x}", fault.address);
        }
        while words()[4..7].iter().zip(&before[4..7]).any(|(now, before)| now == before) {
            yield_now();
        }
        assert_eq!(words()[..4], before[..4], "written after the revoke");
        assert!(inspect(handed).is_ok());
        for writer in &going {
            writer.process.kill().unwrap();
            writer.wait().unwrap();
        }
        do_unmap(PLACE, BYTES).unwrap();
        close(handed).unwrap();
    }
}

fn nothing_is_left_behind() {
    leaves_nothing(5, || {
        let memory = MemoryObject::create(BYTES).unwrap();
        let process = Process::create("target", 64, 128 * 1024).unwrap();
        let handed = copy(memory.slot());
        for number in 0..20 {
            let copy = copy(handed);
            for to in [CapSlot::NULL, process.slot()] {
                do_map(all_of(copy, to, number)).unwrap();
            }
            close(copy).unwrap();
        }
        process.kill().unwrap();
        process.wait().unwrap();
        revoke(memory.slot()).unwrap();
        for number in 0..20 {
            assert!(!is_mapped(CapSlot::NULL, all_of(handed, CapSlot::NULL, number).address));
        }
    });
}
