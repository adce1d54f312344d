//! Who waits by a capability that is revoked is told so; everybody else waits on, in the same order.
#![forbid(unsafe_code)]

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, Rights, Syscall,
};

use super::{Kernel, Notes, message, user};
use crate::{
    capability::transfer,
    object::Ref,
    process::Process,
    tests::kernel::{endpoint, grant, notification},
    thread::Tcb,
};

const BOTH: Rights = Rights::SEND.union(Rights::RECEIVE).union(Rights::GRANT);

/// A capability of `to` that was derived from one of `from`.
pub(super) fn derive(from: &Process, slot: CapSlot, to: &Ref<Process>) -> CapSlot {
    transfer::copy(&from.table, slot, (BOTH, 0), &to.table, &to.quota).unwrap()
}

/// How the threads of a test wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Send,
    Call,
    Receive,
    Signal,
}

pub(super) async fn wait(how: Wait, slot: CapSlot) -> Result<(), Error> {
    let text = message(1, &[]);
    match how {
        Wait::Send => user::send(slot, text, Never).await,
        Wait::Call => user::call(slot, text, Never).await.map(|_| ()),
        Wait::Receive => user::receive(slot, Never).await.map(|_| ()),
        Wait::Signal => user::wait_signal(slot, Never).await.map(|_| ()),
    }
}

pub(super) type Told = Notes<(usize, Result<(), Error>)>;

/// 30 threads that wait, more than a step of a sweep looks at: every third by a capability that stays, the
/// others by some that the thread revokes which this gives. The slot is the root's.
fn waiters(kernel: &mut Kernel, how: Wait) -> (Ref<Process>, CapSlot, Told, Ref<Tcb>) {
    let (server, client) = (kernel.process("server"), kernel.process("client"));
    let root = match how {
        Wait::Signal => notification(&server).1,
        _ => endpoint(&server).1,
    };
    let handed = derive(&server, root, &server);
    let kept = derive(&server, root, &client);
    let notes = Told::default();
    for number in 0..30 {
        let slot = if number % 3 == 0 { kept } else { derive(&server, handed, &client) };
        let notes = notes.clone();
        kernel.spawn(&client, 10, async move {
            let result = wait(how, slot).await;
            notes.borrow_mut().push((number, result));
        });
    }
    // The server lives until the test is over.
    let (_, idle) = endpoint(&server);
    kernel.spawn(&server, 5, async move {
        user::receive(idle, Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert!(notes.borrow().is_empty(), "{how:?}");
    let revoker = kernel.spawn(&server, 10, async move {
        user::revoke(handed).await.unwrap();
    });
    (server, root, notes, revoker)
}

fn told() -> Vec<(usize, Result<(), Error>)> {
    let killed = (0..30).filter(|number| number % 3 != 0);
    killed.map(|number| (number, Err(Error::Revoked))).collect()
}

#[test]
fn who_waits_by_a_revoked_one_is_told_and_others_wait_on() {
    for how in [Wait::Send, Wait::Call, Wait::Receive, Wait::Signal] {
        let mut kernel = Kernel::boot();
        let (server, root, notes, _) = waiters(&mut kernel, how);
        kernel.run_until_idle();
        notes.borrow_mut().sort_unstable_by_key(|(number, _)| *number);
        assert_eq!(notes.take(), told(), "{how:?}");
        kernel.spawn(&server, 1, async move {
            for _ in 0..10 {
                match how {
                    Wait::Signal => user::signal(root, 1).await.unwrap(),
                    Wait::Receive => {
                        user::send(root, message(1, &[]), Now).await.unwrap();
                    }
                    Wait::Send | Wait::Call => {
                        if user::receive(root, Now).await.unwrap().is_call {
                            user::reply(message(2, &[])).await.unwrap();
                        }
                    }
                }
            }
            if how != Wait::Signal {
                assert_eq!(user::receive(root, Now).await.err(), Some(Error::WouldBlock));
            }
        });
        kernel.run_until_idle();
        let expected: Vec<_> = (0..30).step_by(3).map(|number| (number, Ok(()))).collect();
        assert_eq!(notes.take(), expected, "{how:?}: first in, first out");
    }
}

/// Those who wait are told as well where the one who revokes is killed in the middle, after each number of turns.
#[test]
fn a_killed_revoke_tells_them_nevertheless() {
    for how in [Wait::Receive, Wait::Signal] {
        for turns in 0..20 {
            let mut kernel = Kernel::boot();
            let (server, _, notes, victim) = waiters(&mut kernel, how);
            kernel.spawn(&server, 10, async move {
                for _ in 0..turns {
                    user::give_way().await;
                }
                victim.kill();
            });
            kernel.run_until_idle();
            notes.borrow_mut().sort_unstable_by_key(|(number, _)| *number);
            if turns > 0 || !notes.borrow().is_empty() {
                assert_eq!(notes.take(), told(), "{how:?}, {turns} turns");
            }
            assert_eq!(server.table.lock().unfinished(), 0);
        }
    }
}

#[test]
fn a_call_that_was_taken_is_answered() {
    let mut kernel = Kernel::boot();
    let (server, client) = (kernel.process("server"), kernel.process("client"));
    let (_, root) = endpoint(&server);
    let slot = derive(&server, root, &client);
    let caller = kernel.spawn(&client, 10, async move {
        assert_eq!(user::call(slot, message(1, &[]), Never).await, Ok(message(2, &[])));
        let again = user::call(slot, message(1, &[]), Never).await;
        assert_eq!(again, Err(Error::StaleCapability));
    });
    kernel.spawn(&server, 10, async move {
        user::receive(root, Never).await.unwrap();
        user::revoke(root).await.unwrap();
        user::reply(message(2, &[])).await.unwrap();
        user::receive(root, Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(caller.exit_reason(), Some(ExitReason::Exited(0)));
}

#[test]
fn a_wait_for_an_end_is_told_too() {
    let mut kernel = Kernel::boot();
    let (owner, watcher, other) =
        (kernel.process("owner"), kernel.process("watcher"), kernel.process("other"));
    let (_, idle) = endpoint(&other);
    let thread = kernel.spawn(&other, 10, async move {
        user::receive(idle, Never).await.unwrap();
    });
    let rights = Rights::WAIT | Rights::GRANT;
    let roots = [grant(&owner, &other, rights, 0), grant(&owner, &thread, rights, 0)];
    let notes: Notes<Result<ExitReason, Error>> = Rc::new(RefCell::default());
    for (root, call) in roots.into_iter().zip([Syscall::ProcessWait, Syscall::ThreadWait]) {
        let slot = transfer::copy(&owner.table, root, (rights, 0), &watcher.table, &watcher.quota);
        let (slot, notes) = (slot.unwrap(), notes.clone());
        kernel.spawn(&watcher, 10, async move {
            let result = user::wait(call, slot, Never).await;
            notes.borrow_mut().push(result);
        });
    }
    kernel.run_until_idle();
    assert!(notes.borrow().is_empty());
    kernel.spawn(&owner, 10, async move {
        for root in roots {
            user::revoke(root).await.unwrap();
        }
    });
    kernel.run_until_idle();
    assert_eq!(*notes.borrow(), [Err(Error::Revoked); 2]);
}
