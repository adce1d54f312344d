//! Handlers that go, and their endpoints.

use core::mem::ManuallyDrop;

use guests::{
    bare::{DATA, PAGE, faulted},
    children::start,
    cpus::{be_equal, leave_nothing, until},
    mapped::{PLACE, do_unmap, mapping, read},
    raw,
    threads::{MIDDLE, endpoint, granted, label},
    workers::Worker,
};
use orbital_user::{
    Endpoint, ExitReason,
    FaultKind::PageRead,
    MemoryObject, Rights,
    abi::fault::{END, FaultMessage, RESUME, RegisterBank},
    endpoint::reply,
    memory::map,
    thread,
};

use crate::{Handled, is_blocked, next_fault, reads};

/// The endpoint goes before the fault, or while it waits there to be taken; the handler's thread ends, or takes
/// another fault, without having answered.
pub fn a_handler_that_goes_ends_the_thread_with_its_fault() {
    be_equal();
    leave_nothing(2, || {
        let Handled { program, bare, endpoint, _told } = Handled::new(reads, 0);
        let unread = faulted(PageRead, DATA, program.marked());
        drop((endpoint, _told));
        assert_eq!(bare.run(), unread, "there is no endpoint");

        let Handled { bare, endpoint, _told, .. } = Handled::new(reads, 0);
        bare.thread.start().unwrap();
        until(|| is_blocked(&bare.thread));
        drop((endpoint, _told));
        assert_eq!(bare.process.wait(), Ok(unread), "it has not been taken");

        let handled = Handled::new(reads, 0);
        let slot = handled.endpoint.slot();
        handled.bare.thread.start().unwrap();
        let handler = thread::spawn(move || {
            let endpoint = ManuallyDrop::new(Endpoint::from_slot(slot));
            next_fault(&endpoint);
        });
        handler.unwrap().join().unwrap();
        assert_eq!(handled.bare.process.wait(), Ok(handled.unread()), "its handler has ended");

        let first = Handled::new(reads, 0);
        let second =
            Handled::at(first.endpoint.copy(Rights::all(), 0).unwrap(), reads, 0, 64 * 1024);
        first.bare.thread.start().unwrap();
        next_fault(&first.endpoint);
        second.bare.thread.start().unwrap();
        next_fault(&second.endpoint);
        assert_eq!(first.bare.process.wait(), Ok(first.unread()), "another was taken");
        reply(&label(END)).unwrap();
        assert_eq!(second.bare.process.wait(), Ok(second.unread()));
    });
}

/// Takes a fault, and waits for something else.
pub fn takes_and_waits() {
    next_fault(&granted(0));
    let _ = Endpoint::create().unwrap().receive();
}

/// Takes a fault, and makes one.
pub fn takes_and_faults() {
    next_fault(&granted(0));
    raw::fault();
}

/// Takes a fault, and ends.
pub fn takes_and_exits() {
    next_fault(&granted(0));
}

/// A fault that it has taken ends its thread; one that is still queued is another handler's.
pub fn a_pager_s_process_that_ends_takes_along_whom_it_has_served_half() {
    be_equal();
    for role in ["takes_and_waits", "takes_and_faults", "takes_and_exits"] {
        leave_nothing(2, || {
            let taken = Handled::new(reads, 0);
            let endpoint = taken.endpoint.copy(Rights::all(), 0).unwrap();
            let queued = Handled::at(endpoint, reads, 0, 64 * 1024);
            taken.start_until_it_waits();
            queued.start_until_it_waits();
            let pager = start(role, |spawn| spawn.grant(taken.endpoint.slot(), Rights::RECEIVE, 0));
            if role == "takes_and_waits" {
                until(|| taken.bare.thread.read_registers(RegisterBank::First).is_ok());
                pager.process.kill().unwrap();
            }
            assert_eq!(taken.bare.process.wait(), Ok(taken.unread()));
            pager.wait().unwrap();
            next_fault(&taken.endpoint);
            queued.help();
            reply(&label(RESUME)).unwrap();
            assert_eq!(queued.bare.process.wait(), Ok(ExitReason::Exited(0)));
        });
    }
}

/// A thread of this process reads what is not there; the thread that handles that, too; the case handles both.
pub fn a_process_handles_its_own_faults_and_its_handler_s() {
    leave_nothing(10, || {
        let (lower, upper) = (Endpoint::create().unwrap(), Endpoint::create().unwrap());
        let reader = Worker::new(MIDDLE, |_| assert_eq!(read(PLACE), 5), 0);
        let handler = Worker::new(
            MIDDLE,
            |own| {
                let received = endpoint(own.slot()).receive().unwrap();
                let told = FaultMessage::decode(&received.message).unwrap();
                assert!(received.is_fault && told.fault.address == PLACE);
                assert_eq!(read(PLACE + PAGE), 6);
                reply(&label(RESUME)).unwrap();
            },
            lower.slot().bits(),
        );
        reader.set_fault_handler(lower.slot()).unwrap();
        handler.set_fault_handler(upper.slot()).unwrap();
        reader.start().unwrap();
        handler.thread.start().unwrap();
        let told = FaultMessage::decode(&upper.receive().unwrap().message).unwrap();
        assert_eq!((told.fault.kind, told.fault.address), (PageRead, PLACE + PAGE));
        let memory = MemoryObject::create(2 * PAGE).unwrap();
        let mut own = memory.map_write(2 * PAGE).unwrap();
        (own[0], own[PAGE as usize]) = (5, 6);
        // SAFETY: nothing is there yet, and the threads wait for it.
        unsafe { map(&mapping(&memory, 2 * PAGE)) }.unwrap();
        reply(&label(RESUME)).unwrap();
        for worker in [&reader, &handler] {
            assert_eq!(worker.wait(), Ok(ExitReason::Exited(0)));
        }
        do_unmap(PLACE, 2 * PAGE).unwrap();
    });
}
