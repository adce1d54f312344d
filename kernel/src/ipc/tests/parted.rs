//! Who waits by a capability that its own process closes or moves waits on: until it is served, or until that capability
//! would have been revoked, and no longer.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Deadline::Never, Error, ExitReason, Rights, Syscall};

use super::{
    Kernel, message,
    revokes::{Told, Wait, derive, wait},
    user,
};
use crate::{
    object::Ref,
    process::Process,
    tests::kernel::{endpoint, grant, notification},
};

/// What becomes of the capability.
#[derive(Clone, Copy, Debug)]
enum Parting {
    Close,
    Move,
    MoveAndClose,
}

/// Threads of a process that wait at something of another's: by a capability that was parted with, by its sibling, and
/// by one that has nothing to do with both.
struct Case {
    owner: Ref<Process>,
    client: Ref<Process>,
    root: CapSlot,
    /// From which the first two are derived.
    handed: CapSlot,
    notes: Told,
    /// Last, as it looks whether all is given back.
    kernel: Kernel,
}

const EACH: usize = 10;

fn case(how: Wait, parting: Parting) -> Case {
    let mut kernel = Kernel::boot();
    let (owner, client) = (kernel.process("owner"), kernel.process("client"));
    let root = match how {
        Wait::Signal => notification(&owner).1,
        _ => endpoint(&owner).1,
    };
    let handed = derive(&owner, root, &owner);
    let parted = derive(&owner, handed, &client);
    let slots = [parted, derive(&owner, handed, &client), derive(&owner, root, &client)];
    // Both live until the test is over.
    for process in [&owner, &client] {
        let (_, idle) = endpoint(process);
        kernel.spawn(process, 5, async move {
            user::receive(idle, Never).await.unwrap();
        });
    }
    let notes = Told::default();
    for number in 0..3 * EACH {
        let (slot, notes) = (slots[number / EACH], notes.clone());
        kernel.spawn(&client, 10, async move {
            let result = wait(how, slot).await;
            notes.borrow_mut().push((number, result));
        });
    }
    kernel.run_until_idle();
    kernel.spawn(&client, 10, async move {
        let mut slot = parted;
        if matches!(parting, Parting::Move | Parting::MoveAndClose) {
            slot = user::relocate(slot).await.unwrap();
            user::revoke(slot).await.unwrap();
        }
        if matches!(parting, Parting::Close | Parting::MoveAndClose) {
            user::close(slot).await.unwrap();
        }
    });
    kernel.run_until_idle();
    assert!(notes.borrow().is_empty(), "{how:?}, {parting:?}");
    Case { owner, client, root, handed, notes, kernel }
}

impl Case {
    fn revoke(&mut self, slot: CapSlot) {
        self.kernel.spawn(&self.owner, 10, async move { user::revoke(slot).await.unwrap() });
        self.kernel.run_until_idle();
    }

    fn told(&self) -> Vec<(usize, Result<(), Error>)> {
        let mut notes = self.notes.take();
        notes.sort_unstable_by_key(|(number, _)| *number);
        notes
    }

    /// Everything has left the slots that it was to leave.
    fn is_tidy(&self) {
        assert_eq!(self.client.table.lock().unfinished(), 0);
    }
}

const PARTINGS: [Parting; 3] = [Parting::Close, Parting::Move, Parting::MoveAndClose];
const WAITS: [Wait; 4] = [Wait::Send, Wait::Call, Wait::Receive, Wait::Signal];

#[test]
fn they_are_told_when_it_would_have_been_revoked() {
    for (how, parting) in WAITS.into_iter().flat_map(|how| PARTINGS.map(|parting| (how, parting))) {
        let mut case = case(how, parting);
        // Its siblings, and what they have passed on.
        let sibling = derive(&case.owner, case.handed, &case.owner);
        derive(&case.owner, sibling, &case.client);
        case.revoke(sibling);
        assert_eq!(case.told(), [], "{how:?}, {parting:?}");
        case.revoke(case.handed);
        let expected: Vec<_> = (0..2 * EACH).map(|n| (n, Err(Error::Revoked))).collect();
        assert_eq!(case.told(), expected, "{how:?}, {parting:?}");
        case.is_tidy();
        case.revoke(case.root);
        let expected: Vec<_> = (2 * EACH..3 * EACH).map(|n| (n, Err(Error::Revoked))).collect();
        assert_eq!(case.told(), expected);
        case.is_tidy();
    }
}

/// What it was derived from is closed too: its waits are the next one's in the line.
#[test]
fn they_are_told_by_a_revoke_from_further_above() {
    for parting in PARTINGS {
        let mut case = case(Wait::Receive, parting);
        let handed = case.handed;
        case.kernel.spawn(&case.owner, 10, async move { user::close(handed).await.unwrap() });
        case.kernel.run_until_idle();
        assert_eq!(case.told(), []);
        case.revoke(case.root);
        assert_eq!(case.told().len(), 3 * EACH, "{parting:?}");
        case.is_tidy();
    }
}

#[test]
fn they_are_served_as_all_others() {
    for (how, parting) in WAITS.into_iter().flat_map(|how| PARTINGS.map(|parting| (how, parting))) {
        let mut case = case(how, parting);
        let root = case.root;
        case.kernel.spawn(&case.owner, 1, async move {
            for _ in 0..3 * EACH {
                match how {
                    Wait::Signal => user::signal(root, 1).await.unwrap(),
                    Wait::Receive => user::send(root, message(1, &[]), Never).await.unwrap(),
                    Wait::Send | Wait::Call => {
                        if user::receive(root, Never).await.unwrap().is_call {
                            user::reply(message(2, &[])).await.unwrap();
                        }
                    }
                }
            }
        });
        case.kernel.run_until_idle();
        let expected: Vec<_> = (0..3 * EACH).map(|n| (n, Ok(()))).collect();
        assert_eq!(case.told(), expected, "{how:?}, {parting:?}");
        case.is_tidy();
    }
}

#[test]
fn they_are_told_when_the_last_capability_goes() {
    for (how, parting) in WAITS.into_iter().flat_map(|how| PARTINGS.map(|parting| (how, parting))) {
        let mut case = case(how, parting);
        case.owner.end(ExitReason::Killed);
        case.kernel.run_until_idle();
        assert_eq!(case.told(), []);
        let slots: Vec<_> = (0..10).map(|index| CapSlot::new(index, 1)).collect();
        // All but the one at which a thread keeps the process alive.
        case.kernel.spawn(&case.client, 10, async move {
            for slot in slots.into_iter().filter(|slot| slot.index() != 3) {
                let _ = user::close(slot).await;
            }
        });
        case.kernel.run_until_idle();
        let gone = match how {
            Wait::Signal => Error::NotificationGone,
            _ => Error::EndpointGone,
        };
        let expected: Vec<_> = (0..3 * EACH).map(|n| (n, Err(gone))).collect();
        assert_eq!(case.told(), expected, "{how:?}, {parting:?}");
        case.is_tidy();
    }
}

/// A wait for an end lasts as long as the handle.
#[test]
fn who_waits_for_an_end_is_told_at_once() {
    for is_moved in [false, true] {
        let mut kernel = Kernel::boot();
        let (watcher, other) = (kernel.process("watcher"), kernel.process("other"));
        let (_, idle) = endpoint(&other);
        let thread = kernel.spawn(&other, 10, async move {
            user::receive(idle, Never).await.unwrap();
        });
        let notes = Told::default();
        let rights = Rights::WAIT;
        let slots = [grant(&watcher, &other, rights, 0), grant(&watcher, &thread, rights, 0)];
        // Others keep both.
        let kept =
            [grant(&kernel.init, &other, rights, 0), grant(&kernel.init, &thread, rights, 0)];
        let calls = [Syscall::ProcessWait, Syscall::ThreadWait];
        for (number, (slot, call)) in slots.into_iter().zip(calls).enumerate() {
            let notes = notes.clone();
            kernel.spawn(&watcher, 10, async move {
                let result = user::wait(call, slot, Never).await.map(|_| ());
                notes.borrow_mut().push((number, result));
            });
        }
        kernel.run_until_idle();
        assert!(notes.borrow().is_empty());
        kernel.spawn(&watcher, 10, async move {
            for slot in slots {
                match is_moved {
                    true => drop(user::relocate(slot).await.unwrap()),
                    false => user::close(slot).await.unwrap(),
                }
            }
        });
        kernel.run_until_idle();
        assert_eq!(notes.take(), [(0, Err(Error::Revoked)), (1, Err(Error::Revoked))]);
        kept.into_iter().for_each(|slot| kernel.init.close(slot).unwrap());
    }
}

/// By a direct switch to each of them, as there is one for calls.
#[test]
fn they_are_called_as_all_others() {
    for parting in PARTINGS {
        let mut case = case(Wait::Receive, parting);
        let root = case.root;
        case.kernel.spawn(&case.owner, 1, async move {
            for _ in 0..3 * EACH {
                // None of them answers.
                let called = user::call(root, message(1, &[]), Never).await;
                assert_eq!(called, Err(Error::PeerGone));
            }
        });
        case.kernel.run_until_idle();
        let expected: Vec<_> = (0..3 * EACH).map(|n| (n, Ok(()))).collect();
        assert_eq!(case.told(), expected, "{parting:?}");
        case.is_tidy();
    }
}
