//! What a handler is told, and what its answers do.

use core::mem::ManuallyDrop;

use guests::{
    bare::{Code, DATA, PAGE, faulted},
    threads::label,
};
use orbital_user::{
    CapSlot, Endpoint, Error, ExitReason, Fault,
    FaultKind::{Breakpoint, Divide, InvalidOpcode, PageExecute, PageRead, PageWrite, Protection},
    IpcError, MemoryObject, Rights,
    abi::{
        arguments::MemoryProtect,
        fault::{END, FAULT, FaultMessage, RESUME},
    },
    endpoint::reply,
    start::bootstrap,
    thread,
};

use crate::{Handled, breaks, divides, halts, jumps, logs, next_fault, reads, undefined, writes};

pub fn every_fault_is_told_as_it_is() {
    let all: [(Code, _, u64); 7] = [
        (reads, PageRead, DATA),
        (writes, PageWrite, DATA),
        (jumps, PageExecute, DATA),
        (divides, Divide, 0),
        (undefined, InvalidOpcode, 0),
        (halts, Protection, 0),
        (breaks, Breakpoint, 0),
    ];
    for (code, kind, address) in all {
        for answer in [END, 5, u32::MAX] {
            let Handled { program, bare, endpoint, _told } = Handled::new(code, 0);
            bare.thread.start().unwrap();
            let fault = next_fault(&endpoint);
            let instruction_pointer = match kind {
                PageExecute => DATA,
                Breakpoint => program.marked() + 1,
                _ => program.marked(),
            };
            assert_eq!(fault, Fault { kind, address, instruction_pointer });
            reply(&label(answer)).unwrap();
            let expected = faulted(kind, address, instruction_pointer);
            assert_eq!(bare.process.wait(), Ok(expected));
        }
    }
}

pub fn a_message_that_looks_like_a_fault_is_none() {
    let endpoint = Endpoint::create().unwrap();
    let (slot, receiver) = (endpoint.slot(), Endpoint::from_slot(endpoint.slot()));
    let fault = Fault { kind: PageRead, address: 1, instruction_pointer: 2 };
    let sender = thread::spawn(move || {
        let endpoint = ManuallyDrop::new(Endpoint::from_slot(slot));
        let message = FaultMessage { fault, thread: 3 }.encode();
        assert_eq!(message.label(), FAULT);
        endpoint.call(&message)
    });
    let received = receiver.receive().unwrap();
    assert!(received.is_call && !received.is_fault);
    reply(&label(RESUME)).unwrap();
    assert!(sender.unwrap().join().unwrap().is_ok());
    core::mem::forget(receiver);
}

pub fn resuming_without_help_faults_again() {
    let Handled { program, bare, endpoint, _told } = Handled::new(writes, 9);
    bare.thread.start().unwrap();
    let expected = Fault { kind: PageWrite, address: DATA, instruction_pointer: program.marked() };
    for _ in 0..5 {
        assert_eq!(next_fault(&endpoint), expected);
        reply(&label(RESUME)).unwrap();
    }
    assert_eq!(next_fault(&endpoint), expected);
    // Read-only is not enough.
    let memory = MemoryObject::create(PAGE).unwrap();
    bare.data(&memory, Rights::READ);
    reply(&label(RESUME)).unwrap();
    assert_eq!(next_fault(&endpoint), expected);
    let arguments = MemoryProtect {
        process: bare.process.slot(),
        address: DATA,
        bytes: PAGE,
        rights: Rights::READ | Rights::WRITE,
    };
    // SAFETY: the memory is another process's.
    let refused = unsafe { orbital_user::memory::protect(&arguments) };
    assert_eq!(refused, Ok(()), "its capability could write");
    reply(&label(RESUME)).unwrap();
    assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(memory.map_read(PAGE).unwrap()[0], 9);
}

pub fn without_a_handler_any_more_a_fault_ends_its_thread() {
    let Handled { program, bare, .. } = Handled::new(reads, 0);
    bare.thread.set_fault_handler(CapSlot::NULL).unwrap();
    assert_eq!(bare.run(), faulted(PageRead, DATA, program.marked()));
    let no_sender = Endpoint::create().unwrap().copy(Rights::RECEIVE, 0).unwrap();
    let Handled { bare, .. } = Handled::new(reads, 0);
    assert_eq!(bare.thread.set_fault_handler(no_sender.slot()), Err(Error::MissingRights));
}

/// The first touch of a page is resolved as if the program had done it; a page that only a pager could give is
/// not there.
pub fn the_kernel_asks_no_pager_for_what_it_reads() {
    for is_there in [true, false] {
        let handled = Handled::new(logs, 0);
        let system = handled.bare.give(bootstrap().system, Rights::LOG);
        let Handled { program, bare, endpoint, .. } = &handled;
        let other = program.thread(&bare.process, 0, system.bits(), 100);
        let told = endpoint.copy(Rights::SEND, 0).unwrap();
        other.set_fault_handler(told.slot()).unwrap();
        if is_there {
            handled.help();
        }
        other.start().unwrap();
        let code = if is_there { 0 } else { Error::InvalidAddress.code() };
        assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(code)));
        assert_eq!(endpoint.try_receive().map(drop), Err(IpcError::WouldBlock));
    }
}

/// Its supervisor learns of it, and another thread of the process is served.
pub fn a_fault_ends_its_thread_and_nobody_else() {
    let handled = Handled::new(reads, 0);
    let Handled { program, bare, endpoint, _told } = &handled;
    let second = program.thread(&bare.process, 0, 0, 100);
    second.set_fault_handler(_told.slot()).unwrap();
    bare.thread.start().unwrap();
    next_fault(endpoint);
    second.start().unwrap();
    reply(&label(END)).unwrap();
    assert_eq!(bare.thread.wait(), Ok(handled.unread()));
    assert_eq!(bare.process.try_wait(), Err(Error::WouldBlock));
    next_fault(endpoint);
    handled.help();
    reply(&label(RESUME)).unwrap();
    assert_eq!(bare.process.wait(), Ok(ExitReason::Exited(0)));
    assert_eq!(second.wait(), Ok(ExitReason::Exited(0)));
}
