//! Revokes of mappings that others make, or that are left half-way, or for which there is no memory.
#![forbid(unsafe_code)]

use std::{cell::Cell, iter, rc::Rc};

use super::{
    super::Never, AT, CapSlot, Error, Kernel, PAGE, Process, Rights, copy, grant, map, mapped, user,
};
use crate::{
    arch::{Access, host::clock},
    capability::transfer,
    ipc::Notification,
    object::Ref,
    tests::kernel::endpoint,
    vm::{AddressSpace, MemoryObject, address_space::Mapping},
};

/// Longer than a slice, in nanoseconds: each step is a turn.
const LONG: u64 = 10_000_000;
const RIGHTS: Rights = Rights::READ.union(Rights::WRITE).union(Rights::GRANT);
/// Of an object, and from the beginning of one of its mappings to the next.
const PAGES: u64 = 40;
const SPAN: u64 = 64 * PAGE;

/// Derives a capability from the one in `slot` of `owner`.
fn pass(owner: &Process, slot: CapSlot, to: &Process) -> CapSlot {
    transfer::copy(&owner.table, slot, (RIGHTS, 0), &to.table, &to.quota).unwrap()
}

/// A new object, to which `owner` has the only capability.
fn object(owner: &Ref<Process>) -> CapSlot {
    grant(owner, &MemoryObject::new(PAGES * PAGE, &owner.quota).unwrap(), RIGHTS, 0)
}

/// The owner revokes while the user, which has a copy, maps, divides and unmaps again and again, in turns of different
/// lengths: when the revoke has returned, nothing is mapped and nothing can be.
#[test]
fn nothing_is_mapped_after_a_revoke_whenever_it_comes() {
    for turns in 0..60 {
        let mut kernel = Kernel::boot();
        clock::set_pace(LONG);
        let (owner, process) = (kernel.process("owner"), kernel.process("user"));
        let root = object(&owner);
        let copy = pass(&owner, root, &process);
        let is_over = Rc::new(Cell::new(false));
        let (over, looked) = (is_over.clone(), process.clone());
        kernel.spawn(&process, 100, async move {
            let error = loop {
                let mapped = map(copy, CapSlot::NULL, AT, 8).await;
                assert!(!(over.get() && mapped.is_ok()), "mapped after the revoke");
                if let Err(error) = mapped {
                    break error;
                }
                let _ = user::unmap(CapSlot::NULL, AT + 2 * PAGE, PAGE).await;
                let _ = user::unmap(CapSlot::NULL, AT, 8 * PAGE).await;
            };
            let is_told = [Error::StaleCapability, Error::Revoked].contains(&error);
            assert!(is_told || error == Error::AddressInUse, "{error}");
        });
        let done = is_over.clone();
        kernel.spawn(&owner, 100, async move {
            for _ in 0..turns {
                user::give_way().await;
            }
            user::revoke(root).await.unwrap();
            done.set(true);
            assert_eq!(mapped(&looked, (0..8).map(|page| AT + page * PAGE)), []);
        });
        kernel.run_until_idle();
        assert_eq!(mapped(&process, [AT]), []);
    }
}

#[test]
fn the_mappings_of_a_process_that_has_ended_go_where_they_are() {
    let mut kernel = Kernel::boot();
    let (owner, target) = (kernel.process("owner"), kernel.process("target"));
    let (_, idle) = endpoint(&target);
    kernel.spawn(&target, 7, async move {
        let _ = user::receive(idle, Never).await;
    });
    let root = object(&owner);
    let owners = grant(&owner, &target, Rights::MANAGE, 0);
    for mapper in 0..2 {
        let process = kernel.process("mapper");
        let (copy, there) =
            (pass(&owner, root, &process), grant(&process, &target, Rights::MANAGE, 0));
        kernel.spawn(&process, 7, async move {
            // One of both has moved its capability before it ends.
            map(copy, there, AT + mapper * SPAN, PAGES).await.unwrap();
            if mapper == 1 {
                user::relocate(copy).await.unwrap();
            }
        });
        kernel.run_until_idle();
        assert!(process.is_ending());
    }
    let looked = target.clone();
    let all = || (0..3).map(|number| AT + number * SPAN);
    kernel.spawn(&owner, 7, async move {
        map(root, owners, AT + 2 * SPAN, PAGES).await.unwrap();
        assert_eq!(mapped(&looked, all()).len(), 3);
        user::revoke(root).await.unwrap();
        assert_eq!(mapped(&looked, all()), [AT + 2 * SPAN], "by the owner's own");
    });
    kernel.run_until_idle();
}

/// Whoever is killed in the middle, at whatever step: the revoke has not begun, or it is finished.
#[test]
fn a_revoke_that_is_killed_half_way_is_finished() {
    let mut finished = Vec::new();
    for turns in 0..90 {
        let mut kernel = Kernel::boot();
        clock::set_pace(LONG);
        let owner = kernel.process("owner");
        let (root, (_, idle)) = (object(&owner), endpoint(&owner));
        let users: Vec<_> = (0..3)
            .map(|_| {
                let process = kernel.process("user");
                let (_, idle) = endpoint(&process);
                let copy = pass(&owner, root, &process);
                kernel.spawn(&process, 9, async move {
                    for number in 0..3 {
                        map(copy, CapSlot::NULL, AT + number * SPAN, PAGES).await.unwrap();
                        user::touch(AT + number * SPAN, PAGES).await;
                    }
                    let _ = user::receive(idle, Never).await;
                });
                (process, copy)
            })
            .collect();
        kernel.spawn(&owner, 7, async move {
            let _ = user::receive(idle, Never).await;
        });
        kernel.run_until_idle();
        let revoker = kernel.thread(&owner, 7, async move {
            user::revoke(root).await.unwrap();
            0
        });
        let killed = revoker.clone();
        kernel.spawn(&owner, 7, async move {
            for _ in 0..turns {
                user::give_way().await;
            }
            killed.kill();
        });
        revoker.start().unwrap();
        kernel.run_until_idle();
        let places = || (0..3).map(|number| AT + number * SPAN);
        let left: usize = users.iter().map(|(user, _)| mapped(user, places()).len()).sum();
        let copies = users.iter().filter(|(user, copy)| user.still_has(*copy)).count();
        assert!(
            [(9, 3), (0, 0)].contains(&(left, copies)),
            "after {turns} turns: {left}, {copies}"
        );
        assert!(!users.iter().any(|(user, _)| user.space.is_changing()));
        finished.push(left == 0);
    }
    assert!(finished.contains(&true) && finished.contains(&false), "{finished:?}");
}

/// What is mapped by copies takes more of its process than by what nobody can revoke; where there is no more, nothing is
/// mapped. A revoke takes nothing.
#[test]
fn where_memory_is_lacking_nothing_is_mapped_and_a_revoke_does_its_work() {
    let mut kernel = Kernel::boot();
    let (owner, process) = (kernel.process("owner"), kernel.process("user"));
    let root = object(&owner);
    let copy = pass(&owner, root, &process);
    let (looked, slot) = (process.clone(), copy);
    let (_, idle) = endpoint(&process);
    let (count, before) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let (counted, noted) = (count.clone(), before.clone());
    kernel.spawn(&process, 7, async move {
        noted.set(Some(looked.quota.usage()));
        let error = loop {
            let at = AT + counted.get() * SPAN;
            let found = map(slot, CapSlot::NULL, at, 2).await;
            match found {
                Ok(()) => counted.set(counted.get() + 1),
                Err(error) => {
                    assert_eq!(mapped(&looked, [at]), []);
                    break error;
                }
            }
        };
        assert_eq!(error, Error::QuotaExceeded);
        // Neither is it divided, for that takes another one.
        let answer = user::unmap(CapSlot::NULL, AT, PAGE).await;
        assert_eq!(answer, Err(Error::QuotaExceeded));
        let _ = user::receive(idle, Never).await;
    });
    kernel.run_until_idle();
    assert!(count.get() > 50, "{}", count.get());
    let (owners, looked) = (owner.clone(), process.clone());
    kernel.spawn(&owner, 7, async move {
        // All of the owner's own: there is nothing that its revoke could take.
        let all: Vec<_> = iter::from_fn(|| Notification::new(&owners.quota).ok()).collect();
        assert!(!all.is_empty());
        user::revoke(root).await.unwrap();
        assert_eq!(mapped(&looked, (0..100).map(|number| AT + number * SPAN)), []);
    });
    kernel.run_until_idle();
    assert_eq!(Some(process.quota.usage()), before.get());
}

/// Parts of what is divided go, and nobody has to find memory for that.
#[test]
fn each_part_of_a_divided_mapping_goes() {
    let mut kernel = Kernel::boot();
    let (owner, process) = (kernel.process("owner"), kernel.process("user"));
    let root = object(&owner);
    let slot = pass(&owner, root, &process);
    let plain = Mapping::whole(
        &MemoryObject::new(PAGE, &process.quota).unwrap(),
        AT + 5 * PAGE,
        Access::Read,
    );
    let (looked, (_, idle)) = (process.clone(), endpoint(&process));
    kernel.spawn(&process, 7, async move {
        let again = copy(slot).await;
        map(again, CapSlot::NULL, AT, PAGES).await.unwrap();
        user::touch(AT, PAGES).await;
        for page in [3, 5, 9] {
            user::unmap(CapSlot::NULL, AT + page * PAGE, PAGE).await.unwrap();
        }
        AddressSpace::map(&looked.space, plain).unwrap();
        let _ = user::receive(idle, Never).await;
    });
    kernel.run_until_idle();
    let looked = process.clone();
    kernel.spawn(&owner, 7, async move {
        user::revoke(root).await.unwrap();
        let pages = (0..PAGES).map(|page| AT + page * PAGE);
        assert_eq!(mapped(&looked, pages), [AT + 5 * PAGE], "what others have put between");
    });
    kernel.run_until_idle();
}
