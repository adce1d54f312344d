//! Tables that are full and quotas that are used up: an error to whoever asks, and no harm.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use guests::{
    children,
    counters::{self, Counters},
    places, raw, suite,
    threads::{self, MIDDLE, granted, label},
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, MemoryObject, Notification, Process, Rights,
    abi::{Registers, Syscall, arguments::ThreadCreate, layout::PAGE_SIZE},
    capability::{close, copy_to, inspect},
    endpoint::reply,
    start::bootstrap,
};

suite! {
    cases: [
        a_used_up_quota_refuses_and_recovers,
        another_s_table_is_paid_by_its_process,
        a_quota_that_is_not_there_can_t_be_given,
        quotas_come_back,
    ],
    on "memory=768M pinned timeout=120": [
        a_full_table_refuses_and_recovers,
        a_full_table_leaves_what_it_was_to_be_for,
    ],
    roles: [poor, idle],
}

/// The most slots that a table can have.
const MAX_SLOTS: usize = 41 * 25_000;

fn idle() {
    let _ = Endpoint::create().unwrap().receive();
}

/// Copies of `slot` until there is no more room, and why not.
fn fill(slot: CapSlot, process: CapSlot) -> (Vec<CapSlot>, Error) {
    let mut copies = Vec::with_capacity(MAX_SLOTS);
    loop {
        match copy_to(slot, process, Rights::SEND | Rights::RECEIVE, 0) {
            Ok(copy) => copies.push(copy),
            Err(error) => return (copies, error),
        }
    }
}

/// A thread that does not run, in `process`.
fn thread_in(process: CapSlot) -> Registers {
    ThreadCreate { process, entry: 0x40_0000, stack: 0x50_0000, argument: 0, priority: 1 }.encode()
}

/// The registers of each call that makes a capability in one's own table.
fn makers(endpoint: &Endpoint, notification: &Notification) -> [(Syscall, Registers); 7] {
    [
        (Syscall::EndpointCreate, raw::NOISE),
        (Syscall::NotificationCreate, raw::NOISE),
        (Syscall::TimerCreate, raw::control([notification.slot().bits(), 1])),
        (Syscall::MemoryCreate, raw::control([PAGE_SIZE])),
        (Syscall::ProcessCreate, raw::control([u64::from(b'p'), 0, 4, 4096])),
        (Syscall::CapabilityCopy, raw::control([endpoint.slot().bits(), 0, 0, 0])),
        (Syscall::ThreadCreate, thread_in(bootstrap().process)),
    ]
}

/// All 1,025,000 slots in use: every call that needs one is refused and leaves nothing behind, all others
/// work, and after some are closed there is room again for as many.
fn a_full_table_refuses_and_recovers() {
    let endpoint = Endpoint::create().unwrap();
    let notification = Notification::create().unwrap();
    let slot = endpoint.slot();
    let server = threads::at(MIDDLE, move || {
        assert!(threads::endpoint(slot).receive().unwrap().is_call);
        reply(&label(2))
    });
    let (copies, error) = fill(slot, CapSlot::NULL);
    assert_eq!(error, Error::TableFull);
    // Some were there before.
    assert!((MAX_SLOTS - 64..MAX_SLOTS).contains(&copies.len()), "{}", copies.len());

    // Lists of threads and children have room for one from the first time on.
    counters::leaves_nothing(3, || {
        for (syscall, registers) in makers(&endpoint, &notification) {
            raw::refuse(syscall, registers, Error::TableFull);
        }
    });
    assert_eq!(threads::endpoint(copies[copies.len() - 1]).call(&label(1)), Ok(label(2)));
    assert!(copies.iter().all(|copy| inspect(*copy).is_ok()));

    for copy in &copies[1000..1003] {
        close(*copy).unwrap();
    }
    let again: Vec<_> = (0..3).map(|_| Endpoint::create().unwrap()).collect();
    assert_eq!(Endpoint::create().err(), Some(Error::TableFull));
    for copy in &copies[1000..1003] {
        assert_eq!(inspect(*copy), Err(Error::StaleCapability));
    }
    drop(again);
    assert_eq!(server.join().unwrap(), Ok(()));
}

/// A thread that can't be made, since its maker's table is full, leaves the process alone that it was
/// to be the first of.
fn a_full_table_leaves_what_it_was_to_be_for() {
    let endpoint = Endpoint::create().unwrap();
    let process = Process::create("target", 16, 16 * 1024).unwrap();
    let (copies, error) = fill(endpoint.slot(), CapSlot::NULL);
    assert_eq!(error, Error::TableFull);
    let refuse = || {
        raw::refuse(Syscall::ThreadCreate, thread_in(process.slot()), Error::TableFull);
    };
    counters::leaves_nothing(10, refuse);
    assert_eq!(process.try_wait(), Err(Error::WouldBlock), "it has not ended");
    close(copies[0]).unwrap();
    assert!(copy_to(endpoint.slot(), process.slot(), Rights::SEND, 0).is_ok());
}

/// Uses up its kernel memory by endpoints, twice, and tries what still works then.
fn poor() {
    let server = granted(0);
    let target = Process::create("target", 4, 4096).unwrap();
    let mut room = None;
    for _ in 0..3 {
        let mut endpoints = Vec::with_capacity(4096);
        let error = loop {
            match Endpoint::create() {
                Ok(endpoint) => endpoints.push(endpoint),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        // The table has grown and stays so; from then on there is room for as many each time.
        if let Some(room) = room.replace(endpoints.len()) {
            assert!(endpoints.len() >= room);
        }
        // Less than a process takes is left. A thread may find a place in the slab of the first one.
        let name = u64::from(b'p');
        raw::refuse(Syscall::EndpointCreate, raw::NOISE, Error::QuotaExceeded);
        let process = raw::control([name, 0, 4, 4096]);
        raw::refuse(Syscall::ProcessCreate, process, Error::QuotaExceeded);
        let memory = raw::control([1 << 30]);
        raw::refuse(Syscall::MemoryCreate, memory, Error::QuotaExceeded);
        // What takes no memory works.
        assert_eq!(server.call(&label(1)), Ok(label(2)));
        assert_eq!(target.try_wait(), Err(Error::WouldBlock));
        let last = endpoints.pop().unwrap();
        let stale = last.slot();
        drop(last);
        assert_eq!(inspect(stale), Err(Error::StaleCapability));
        assert!(Endpoint::create().is_ok(), "room for one");
    }
}

/// A process with little kernel memory gets `QuotaExceeded`, goes on, and can make again what it
/// closed; others have theirs.
fn a_used_up_quota_refuses_and_recovers() {
    let endpoint = Endpoint::create().unwrap();
    let child = children::start("poor", |spawn| {
        spawn.quota(256, 48 * 1024).grant(endpoint.slot(), Rights::SEND, 0)
    });
    for _ in 0..3 {
        let received = endpoint.receive().unwrap();
        assert_eq!((received.message, received.is_call), (label(1), true));
        let own = Endpoint::create();
        assert!(own.is_ok());
        reply(&label(2)).unwrap();
    }
    children::succeed(&child);
}

/// Slots that a creator fills in another process's table are paid by that process; the creator and the
/// capabilities that are there do not suffer.
fn another_s_table_is_paid_by_its_process() {
    let endpoint = Endpoint::create().unwrap();
    let process = Process::create("target", 4, 16 * 1024).unwrap();
    let (copies, error) = fill(endpoint.slot(), process.slot());
    assert_eq!(error, Error::QuotaExceeded);
    assert!(!copies.is_empty() && copies.len() < 1000, "{}", copies.len());
    assert!(endpoint.copy(Rights::SEND, 0).is_ok());
    // Endpoints live as long as somebody can receive there.
    let slot = endpoint.slot();
    let waiter = threads::at(MIDDLE, move || threads::endpoint(slot).receive());
    threads::settle();
    drop(endpoint);
    threads::settle();
    assert!(threads::is_alive(&waiter));
    process.kill().unwrap();
    assert_eq!(process.wait(), Ok(ExitReason::Killed));
    assert!(waiter.join().unwrap().is_err());
}

/// More than one has can't be given to a child, nor so much that a sum would overflow.
fn a_quota_that_is_not_there_can_t_be_given() {
    let before = Counters::now();
    for (frames, bytes) in [(u64::MAX, 0), (0, u64::MAX), (u64::MAX, u64::MAX), (1 << 40, 1 << 40)]
    {
        let made = Process::create("rich", frames, bytes);
        assert_eq!(made.err(), Some(Error::QuotaExceeded));
    }
    assert_eq!(Counters::now(), before);
    // One without any can't even have an address space.
    assert_eq!(Process::create("none", 0, 0).err(), Some(Error::QuotaExceeded));
    assert_eq!(MemoryObject::create(1 << 32).err(), Some(Error::QuotaExceeded));
    assert_eq!(Counters::now(), before);
}

/// Children that were killed with full tables and used-up quotas give everything back.
fn quotas_come_back() {
    places::pave(32 << 20);
    let endpoint = Endpoint::create().unwrap();
    counters::leaves_nothing(10, || {
        let process = Process::create("target", 4, 32 * 1024).unwrap();
        let (_, error) = fill(endpoint.slot(), process.slot());
        assert_eq!(error, Error::QuotaExceeded);
        process.kill().unwrap();
        assert_eq!(process.wait(), Ok(ExitReason::Killed));
        let child = children::start("idle", |spawn| spawn.grant(endpoint.slot(), Rights::SEND, 0));
        threads::settle();
        child.process.kill().unwrap();
        assert_eq!(child.wait(), Ok(ExitReason::Killed));
    });
}
