//! Replies that are kept: answered once, from any thread of the process, and what becomes of a caller that is gone,
//! and of one whose reply goes.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never, Now},
    Error, ExitReason, Message, ObjectKind, Rights, Syscall,
    fault::RESUME,
};

use super::{Kernel, Notes, Pair, message, pair, user, words};
use crate::{
    arch::host::clock,
    object::{Ref, registry},
    tests::kernel::notification,
    thread::{FaultHandler, Tcb, state::ThreadState},
};

/// Where a slot is passed on.
type Passed = Rc<Cell<Option<CapSlot>>>;
/// What a caller was told.
type Answers = Notes<Result<Message, Error>>;

fn answer() -> Message {
    message(3, &[7; 8])
}

/// A thread that takes a call and keeps it, in the slot that it passes on; then it waits for ever.
fn keeper(kernel: &mut Kernel, pair: &Pair) -> (Ref<Tcb>, Passed) {
    let (receiver, passed) = (pair.receiver, Passed::default());
    let slot = passed.clone();
    let thread = kernel.spawn(&pair.server, 10, async move {
        assert!(user::receive(receiver, Never).await.unwrap().is_call);
        slot.set(Some(user::keep_reply().await.unwrap()));
        assert_eq!(user::keep_reply().await, Err(Error::NoReplyOwed));
        assert_eq!(user::reply(words()).await, Err(Error::NoReplyOwed));
        let _ = user::receive(receiver, Never).await;
    });
    (thread, passed)
}

/// A thread that calls, and notes what comes of it.
fn caller(kernel: &mut Kernel, pair: &Pair) -> (Ref<Tcb>, Answers) {
    let (sender, notes) = (pair.sender, Notes::default());
    let noted = notes.clone();
    let thread = kernel.spawn(&pair.client, 20, async move {
        let answer = user::call(sender, words(), Never).await;
        noted.borrow_mut().push(answer);
    });
    (thread, notes)
}

/// A server that has kept a caller's call.
fn kept(kernel: &mut Kernel) -> (Pair, Ref<Tcb>, CapSlot, Ref<Tcb>, Answers) {
    let pair = pair(kernel);
    let (server, passed) = keeper(kernel, &pair);
    let (client, notes) = caller(kernel, &pair);
    kernel.run_until_idle();
    let slot = passed.get().expect("it was kept");
    (pair, server, slot, client, notes)
}

#[test]
fn a_kept_reply_is_answered_once_by_any_thread() {
    for receives in [false, true] {
        let mut kernel = Kernel::boot();
        let (pair, _server, slot, client, notes) = kept(&mut kernel);
        assert!(notes.borrow().is_empty(), "it waits");
        let receiver = pair.receiver;
        let other = kernel.spawn(&pair.server, 10, async move {
            if receives {
                let none = user::reply_to_receive(slot, receiver, answer(), Now).await;
                assert_eq!(none, Err(Error::WouldBlock));
            } else {
                assert_eq!(user::reply_to(slot, answer()).await, Ok(()));
            }
            assert_eq!(user::reply_to(slot, answer()).await, Err(Error::StaleCapability));
            let again = user::reply_to_receive(slot, receiver, answer(), Never).await;
            assert_eq!(again, Err(Error::StaleCapability));
            assert_eq!(user::close(slot).await, Err(Error::StaleCapability));
        });
        kernel.run_until_idle();
        assert_eq!(*notes.borrow(), [Ok(answer())]);
        for thread in [other, client] {
            assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
        }
        assert_eq!(registry::live(ObjectKind::Reply), 0);
    }
}

/// The one that a thread owes and those that are kept are answered in any order.
#[test]
fn a_server_answers_in_any_order() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let answered = Notes::default();
    for number in 1..=4 {
        let answered = answered.clone();
        kernel.spawn(&pair.client, 20, async move {
            let answer = user::call(sender, message(number, &[]), Never).await;
            assert_eq!(answer, Ok(message(number * 10, &[])));
            answered.borrow_mut().push(number);
        });
    }
    kernel.run_until_idle();
    kernel.spawn(&pair.server, 10, async move {
        let mut kept = Vec::new();
        for number in 1..=3 {
            assert_eq!(user::receive(receiver, Never).await.unwrap().message.label(), number);
            kept.push(user::keep_reply().await.unwrap());
        }
        user::receive(receiver, Never).await.unwrap();
        user::reply_to(kept[1], message(20, &[])).await.unwrap();
        user::reply(message(40, &[])).await.unwrap();
        user::reply_to(kept[2], message(30, &[])).await.unwrap();
        user::reply_to(kept[0], message(10, &[])).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(*answered.borrow(), [2, 4, 3, 1]);
}

#[test]
fn what_is_no_kept_reply_is_refused_and_nothing_changes() {
    let mut kernel = Kernel::boot();
    let (pair, _server, slot, _client, notes) = kept(&mut kernel);
    let receiver = pair.receiver;
    kernel.spawn(&pair.server, 10, async move {
        let past = CapSlot::new(slot.index(), slot.generation() - 1);
        let wrong = [
            (receiver, Error::WrongKind),
            (CapSlot::new(50, 1), Error::EmptySlot),
            (CapSlot::new(slot.index(), slot.generation() + 1), Error::EmptySlot),
            (CapSlot::from_bits(u64::MAX), Error::EmptySlot),
            (past, if slot.generation() > 1 { Error::StaleCapability } else { Error::EmptySlot }),
        ];
        for (slot, error) in wrong {
            assert_eq!(user::reply_to(slot, answer()).await, Err(error), "{slot:?}");
            let receives = user::reply_to_receive(slot, receiver, answer(), Never).await;
            assert_eq!(receives.unwrap_err(), error, "{slot:?}");
        }
        // A malformed message; an endpoint that is none.
        let registers = orbital_abi::Registers::control([slot.bits(), u64::MAX, 0, 0]);
        let malformed = user::syscall(Syscall::Reply as u64, registers).await;
        assert_eq!(malformed, Err(Error::InvalidMessage));
        let nowhere = user::reply_to_receive(slot, slot, answer(), Never).await;
        assert_eq!(nowhere.unwrap_err(), Error::WrongKind);
        // It has no rights, so there is nothing to be passed on.
        for rights in [Rights::empty(), Rights::all()] {
            let copied = user::copy(slot, CapSlot::NULL, rights, 0).await;
            assert_eq!(copied, Err(Error::MissingRights));
        }
        let found = user::control(Syscall::CapabilityInspect, [slot.bits(), 0, 0, 0]).await;
        let [kind, rights, badge, _] = found.unwrap();
        assert_eq!([kind, rights, badge], [ObjectKind::Reply as u64, 0, 0]);
    });
    kernel.run_until_idle();
    assert!(notes.borrow().is_empty(), "it waits still");
    kernel.spawn(&pair.server, 10, async move {
        assert_eq!(user::reply_to(slot, answer()).await, Ok(()));
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [Ok(answer())]);
}

/// A client whose patience is short gives a server that keeps everything more and more to keep.
#[test]
fn without_means_to_keep_it_the_reply_is_owed_still() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server = kernel.spawn(&pair.server, 10, async move {
        let mut kept = Vec::new();
        let error = loop {
            user::receive(receiver, Never).await.unwrap();
            match user::keep_reply().await {
                Ok(slot) => kept.push(slot),
                Err(error) => break error,
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        assert_eq!(user::keep_reply().await, Err(Error::QuotaExceeded), "nothing was taken");
        assert_eq!(user::reply(answer()).await, Ok(()));
        for slot in kept {
            assert_eq!(user::reply_to(slot, answer()).await, Err(Error::PeerGone));
            assert_eq!(user::reply_to(slot, answer()).await, Err(Error::StaleCapability));
        }
    });
    let client = kernel.spawn(&pair.client, 20, async move {
        loop {
            let deadline = At(clock::nanoseconds() + 1000);
            match user::call(sender, words(), deadline).await {
                Err(error) => assert_eq!(error, Error::Unanswered),
                answered => break assert_eq!(answered, Ok(answer())),
            }
        }
    });
    kernel.run_until_idle();
    for thread in [client, server] {
        assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

/// Closed, or with its process: the caller is told.
#[test]
fn the_end_of_its_slot_drops_a_reply() {
    for ends in [false, true] {
        let mut kernel = Kernel::boot();
        let (pair, server, slot, client, notes) = kept(&mut kernel);
        if ends {
            pair.server.end(ExitReason::Killed);
        } else {
            server.kill();
            kernel.run_until_idle();
            assert!(pair.server.is_ending(), "with its last thread");
        }
        kernel.run_until_idle();
        assert_eq!(*notes.borrow(), [Err(Error::PeerGone)]);
        assert_eq!(client.exit_reason(), Some(ExitReason::Exited(0)));
        assert!(server.is_ended() && !slot.is_null());

        let (pair, _server, slot, _client, notes) = kept(&mut kernel);
        let other = kernel.spawn(&pair.server, 10, async move {
            user::close(slot).await.unwrap();
            assert_eq!(user::reply_to(slot, answer()).await, Err(Error::StaleCapability));
        });
        kernel.run_until_idle();
        assert_eq!(*notes.borrow(), [Err(Error::PeerGone)]);
        assert_eq!(other.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

/// The thread that took the call has ended: it is not its reply any more.
#[test]
fn a_kept_reply_outlives_the_thread_that_took_the_call() {
    let mut kernel = Kernel::boot();
    let (pair, server, slot, _client, notes) = kept(&mut kernel);
    let other = kernel.thread(&pair.server, 10, async move {
        user::reply_to(slot, answer()).await.unwrap();
        0
    });
    server.kill();
    kernel.run_until_idle();
    assert!(server.is_ended() && notes.borrow().is_empty());
    other.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [Ok(answer())]);
}

/// How a caller can leave.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    Deadline,
    Killed,
    ProcessEnds,
}

/// Whether the call is kept, or owed; how its caller leaves; whether the server receives in one step.
fn ways() -> impl Iterator<Item = (bool, Leaves, bool)> {
    let leaves = [Leaves::Deadline, Leaves::Killed, Leaves::ProcessEnds];
    [false, true].into_iter().flat_map(move |kept| {
        leaves.into_iter().flat_map(move |way| [false, true].map(|receives| (kept, way, receives)))
    })
}

/// The server learns that its caller is gone, once; and nothing keeps the caller until then.
#[test]
fn a_caller_that_is_gone_is_forgotten_at_once() {
    for (kept, leaves, receives) in ways() {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let (go_on, waits) = notification(&pair.server);
        let before = (registry::live(ObjectKind::Thread), registry::live(ObjectKind::Process));
        let server = kernel.spawn(&pair.server, 10, async move {
            user::receive(receiver, Never).await.unwrap();
            let slot = match kept {
                true => user::keep_reply().await.unwrap(),
                false => CapSlot::NULL,
            };
            user::wait_signal(waits, Never).await.unwrap();
            if !kept {
                assert_eq!(user::keep_reply().await, Err(Error::PeerGone));
            }
            if receives {
                let none = user::reply_to_receive(slot, receiver, answer(), Now).await;
                assert_eq!(none.unwrap_err(), Error::WouldBlock, "the caller is no error");
            } else {
                assert_eq!(user::reply_to(slot, answer()).await, Err(Error::PeerGone));
            }
            let used = if kept { Error::StaleCapability } else { Error::NoReplyOwed };
            assert_eq!(user::reply_to(slot, answer()).await, Err(used), "once");
        });
        let Pair { client, .. } = pair;
        let caller = kernel.spawn(&client, 20, async move {
            let deadline = match leaves {
                Leaves::Deadline => At(clock::nanoseconds() + 1000),
                _ => Never,
            };
            let gone = user::call(sender, words(), deadline).await;
            assert_eq!(gone.unwrap_err(), Error::Unanswered);
        });
        kernel.run_until_idle();
        match leaves {
            Leaves::Deadline => {}
            Leaves::Killed => drop(caller.kill()),
            Leaves::ProcessEnds => drop(client.end(ExitReason::Killed)),
        }
        kernel.run_until_idle();
        assert!(client.exit_reason().is_some(), "all it had is given back");
        drop((caller, client));
        let threads = registry::live(ObjectKind::Thread);
        assert_eq!((threads - 1, registry::live(ObjectKind::Process) + 1), before);
        assert_eq!(server.exit_reason(), None);
        go_on.signal(1).unwrap();
        kernel.run_until_idle();
        let case = (kept, leaves, receives);
        assert_eq!(server.exit_reason(), Some(ExitReason::Exited(0)), "{case:?}");
    }
}

/// A fault is a call that the kernel makes: its handler can keep it, too.
#[test]
fn the_answer_to_a_fault_can_be_kept() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let passed = Passed::default();
    let slot = passed.clone();
    kernel.spawn(&pair.server, 10, async move {
        assert!(user::receive(receiver, Never).await.unwrap().is_fault);
        slot.set(Some(user::keep_reply().await.unwrap()));
        let _ = user::receive(receiver, Never).await;
    });
    let handler = pair.client.capability(pair.sender).unwrap().object;
    let thread = kernel.thread(&pair.client, 20, async {
        user::fault(0x1000).await;
        0
    });
    thread
        .set_fault_handler(Some(FaultHandler { endpoint: handler, badge: 0, kept: None }))
        .unwrap();
    thread.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(thread.state(), ThreadState::Blocked);
    let slot = passed.get().expect("it was kept");
    kernel.spawn(&pair.server, 10, async move {
        user::reply_to(slot, message(RESUME, &[])).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(ExitReason::Exited(0)));
}

/// The fixture finds what is left.
#[test]
fn replies_that_are_kept_at_the_end_leave_nothing() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let callers: Vec<Ref<Tcb>> = (0..20)
        .map(|_| {
            kernel.spawn(&pair.client, 20, async move {
                assert_eq!(user::call(sender, words(), Never).await, Err(Error::PeerGone));
            })
        })
        .collect();
    kernel.spawn(&pair.server, 10, async move {
        for _ in 0..19 {
            user::receive(receiver, Never).await.unwrap();
            user::keep_reply().await.unwrap();
        }
        user::receive(receiver, Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert!(callers.iter().all(|it| it.exit_reason() == Some(ExitReason::Exited(0))));
}
