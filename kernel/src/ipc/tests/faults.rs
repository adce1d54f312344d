//! Faults that a handler is told: every order in which it, the thread and the endpoint come and go.
#![forbid(unsafe_code)]

mod ends;
mod registers;

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, Fault, FaultKind, Rights, Syscall,
    fault::{END, FaultMessage, RESUME},
};

use super::{BADGE, Kernel, Notes, ORDERS, Pair, grant, message, pair, user, words};
use crate::{
    arch::Trap,
    ipc::Endpoint,
    object::Ref,
    thread::{FaultHandler, Tcb, state::ThreadState},
};

const ADDRESS: u64 = 0x1000;

/// The endpoint as the client's threads have it for a handler.
fn handler(pair: &Pair) -> FaultHandler {
    let endpoint = pair.client.capability(pair.sender).unwrap();
    let endpoint: Ref<Endpoint> = endpoint.object(Rights::SEND).unwrap();
    FaultHandler { endpoint: endpoint.erase(), badge: BADGE, kept: None }
}

/// A thread of the client's, with a handler, that reads what is not there and then ends by itself. It is not
/// started.
fn reader(kernel: &mut Kernel, pair: &Pair, priority: u8) -> Ref<Tcb> {
    let thread = kernel.thread(&pair.client, priority, async {
        user::fault(ADDRESS).await;
        0
    });
    thread.set_fault_handler(Some(handler(pair))).unwrap();
    thread
}

/// The same, started, and the machine has nothing left to do.
fn waiting_reader(kernel: &mut Kernel, pair: &Pair) -> Ref<Tcb> {
    let thread = reader(kernel, pair, 20);
    thread.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(thread.state(), ThreadState::Blocked);
    thread
}

/// How a thread ends whose fault nobody helped.
#[track_caller]
fn unread(thread: &Tcb) -> Option<ExitReason> {
    let Some(ExitReason::Faulted(fault)) = thread.exit_reason() else {
        panic!("{:?}", thread.exit_reason());
    };
    assert_eq!((fault.kind, fault.address), (FaultKind::PageRead, ADDRESS));
    Some(ExitReason::Faulted(fault))
}

/// Takes the next fault.
async fn take(endpoint: CapSlot) -> FaultMessage {
    let received = user::receive(endpoint, Never).await.unwrap();
    assert!(received.is_call && received.is_fault, "{received:?}");
    assert_eq!(received.badge, BADGE);
    FaultMessage::decode(&received.message).unwrap()
}

#[test]
fn a_fault_is_told_and_answered_whichever_side_comes_first() {
    for (server, client) in ORDERS {
        for resumed in [true, false] {
            let mut kernel = Kernel::boot();
            let pair = pair(&kernel);
            let receiver = pair.receiver;
            let notes = Notes::default();
            let noted = notes.clone();
            kernel.spawn(&pair.server, server, async move {
                let told = take(receiver).await;
                noted.borrow_mut().push(told);
                let label = if resumed { RESUME } else { END };
                user::reply(message(label, &[1, 2])).await.unwrap();
                assert_eq!(user::reply(words()).await, Err(Error::NoReplyOwed), "once");
            });
            let thread = reader(&mut kernel, &pair, client);
            thread.start().unwrap();
            kernel.run_until_idle();
            let [told] = notes.borrow()[..] else { panic!("{notes:?}") };
            assert_eq!((told.fault.kind, told.fault.address), (FaultKind::PageRead, ADDRESS));
            assert_eq!(told.thread, thread.id.0);
            let expected = if resumed { Some(ExitReason::Exited(0)) } else { unread(&thread) };
            assert_eq!(thread.exit_reason(), expected);
        }
    }
}

#[test]
fn faults_of_every_kind_are_told() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let (notes, kinds) = (Notes::default(), FaultKind::ALL);
    let noted = notes.clone();
    kernel.spawn(&pair.server, 10, async move {
        for _ in kinds {
            let told = take(receiver).await;
            noted.borrow_mut().push(told.fault.kind);
            user::reply(message(RESUME, &[])).await.unwrap();
        }
    });
    let thread = kernel.thread(&pair.client, 10, async move {
        for kind in kinds {
            let fault = Fault { kind, address: 0, instruction_pointer: 1 };
            user::trap(match kind {
                FaultKind::PageRead | FaultKind::PageWrite | FaultKind::PageExecute => {
                    Trap::PageFault(fault)
                }
                _ => Trap::Fault(fault),
            })
            .await;
        }
        0
    });
    thread.set_fault_handler(Some(handler(&pair))).unwrap();
    thread.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
    assert_eq!(*notes.borrow(), kinds);
}

#[test]
fn faults_and_calls_are_served_in_the_order_in_which_they_came() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let first = waiting_reader(&mut kernel, &pair);
    let caller = kernel.spawn(&pair.client, 20, async move {
        // What looks like a fault is none.
        let kind = FaultKind::PageRead;
        let fault = Fault { kind, address: ADDRESS, instruction_pointer: 1 };
        let like = FaultMessage { fault, thread: 7 }.encode();
        assert_eq!(user::call(sender, like, Never).await, Ok(message(RESUME, &[])));
    });
    kernel.run_until_idle();
    let second = waiting_reader(&mut kernel, &pair);
    let notes = Notes::default();
    let noted = notes.clone();
    kernel.spawn(&pair.server, 10, async move {
        for _ in 0..3 {
            let received = user::receive(receiver, Now).await.unwrap();
            let told = FaultMessage::decode(&received.message).unwrap();
            noted.borrow_mut().push((told.thread, received.is_fault));
            user::reply(message(RESUME, &[])).await.unwrap();
        }
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [(first.id.0, true), (7, false), (second.id.0, true)]);
    for thread in [first, caller, second] {
        assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

#[test]
fn an_ended_thread_gets_no_handler() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let handler = handler(&pair);
    let thread = kernel.spawn(&pair.client, 10, async {});
    kernel.run_until_idle();
    assert_eq!(thread.set_fault_handler(Some(handler)), Err(Error::Ended));
    assert!(thread.fault_handler().is_none());
}

#[test]
fn handlers_are_set_by_who_manages_the_thread_and_may_send() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let thread = kernel.thread(&pair.client, 20, async {
        user::fault(ADDRESS).await;
        0
    });
    let managed = grant(&pair.client, &thread, Rights::MANAGE, 0);
    let weak = grant(&pair.client, &thread, Rights::WAIT, 0);
    let endpoint: Ref<Endpoint> =
        pair.server.capability(receiver).unwrap().object(Rights::RECEIVE).unwrap();
    let deaf = grant(&pair.client, &endpoint, Rights::RECEIVE, 0);
    let started = thread.clone();
    let setter = kernel.spawn(&pair.client, 10, async move {
        let set = async |thread: CapSlot, endpoint: CapSlot| {
            let words = [thread.bits(), endpoint.bits(), 0, 0];
            user::control(Syscall::ThreadSetFaultHandler, words).await
        };
        assert_eq!(set(weak, sender).await, Err(Error::MissingRights));
        assert_eq!(set(managed, deaf).await, Err(Error::MissingRights));
        assert_eq!(set(sender, sender).await, Err(Error::WrongKind));
        assert_eq!(set(managed, managed).await, Err(Error::WrongKind));
        assert_eq!(set(CapSlot::NULL, sender).await, Err(Error::EmptySlot));
        assert_eq!(set(managed, CapSlot::new(999, 1)).await, Err(Error::EmptySlot));
        assert!(started.fault_handler().is_none(), "nothing was set");
        assert_eq!(set(managed, sender).await, Ok([0; 4]));
        assert_eq!(started.fault_handler().map(|(_, badge)| badge), Some(BADGE));
        assert_eq!(set(managed, CapSlot::NULL).await, Ok([0; 4]));
        assert!(started.fault_handler().is_none());
        started.start().unwrap();
        let end = user::wait(Syscall::ThreadWait, weak, Never).await.unwrap();
        assert!(matches!(end, ExitReason::Faulted(_)), "{end}");
        assert_eq!(set(managed, sender).await, Err(Error::Ended));
    });
    kernel.run_until_idle();
    assert_eq!(setter.exit_reason(), Some(ExitReason::Exited(0)));
}

/// A wait that comes after a handled fault is an ordinary one: what it is given arrives.
#[test]
fn who_was_resumed_receives_messages_again() {
    for (server, client) in ORDERS {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, own) = (pair.receiver, crate::tests::kernel::endpoint(&pair.client));
        let to_client = grant(&pair.server, &own.0, Rights::SEND, 5);
        kernel.spawn(&pair.server, server, async move {
            take(receiver).await;
            let resume = message(RESUME, &[]);
            user::reply(resume).await.unwrap();
            user::send(to_client, words(), Never).await.unwrap();
        });
        let thread = kernel.thread(&pair.client, client, async move {
            user::fault(ADDRESS).await;
            let received = user::receive(own.1, Never).await.unwrap();
            assert_eq!((received.message, received.badge), (words(), 5));
            0
        });
        thread.set_fault_handler(Some(handler(&pair))).unwrap();
        thread.start().unwrap();
        kernel.run_until_idle();
        assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
    }
}
