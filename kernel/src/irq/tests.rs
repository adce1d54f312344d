//! What lines signal, whose they are, and what becomes of them at the end, on one CPU.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, ObjectKind, Rights, Syscall,
};

use super::{Interrupt, strays};
use crate::{
    arch::host::{
        clock,
        lines::{self, FIRST_LEVEL, is_masked, lower, pulse, raise},
    },
    capability::transfer,
    ipc::Binding,
    object::{Ref, registry},
    process::Process,
    system::SystemObject,
    tests::{
        devices,
        kernel::{Kernel, grant, notification},
        user,
    },
};

const EDGE: u8 = 5;
const LEVEL: u8 = FIRST_LEVEL + 1;
const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

/// Runs a program that is given the system and a notification.
fn run<F: Future<Output = ()> + 'static>(program: impl FnOnce(CapSlot, CapSlot) -> F) {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    run_in(&mut kernel, &process, program);
}

fn run_in<F: Future<Output = ()> + 'static>(
    kernel: &mut Kernel,
    process: &Ref<Process>,
    program: impl FnOnce(CapSlot, CapSlot) -> F,
) {
    let (_, word) = notification(process);
    let system = grant(process, &SystemObject::new().unwrap(), Rights::DEVICES, 0);
    let thread = kernel.spawn(process, 7, program(system, word));
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

/// Lets what is due come: here it does while everybody waits.
async fn settle() {
    let soon = clock::nanoseconds() + 10;
    user::control(Syscall::ThreadSleep, [soon, 0, 0, 0]).await.unwrap();
}

async fn none(word: CapSlot) {
    settle().await;
    assert_eq!(user::wait_signal(word, Now).await, Err(Error::WouldBlock));
}

async fn next(word: CapSlot) -> u64 {
    user::wait_signal(word, Never).await.unwrap()
}

#[test]
fn an_edge_signals_once() {
    run(|system, word| async move {
        let line = devices::line(system, EDGE.into()).await.unwrap();
        assert!(is_masked(EDGE));
        devices::bind(line, word, 0b101).await.unwrap();
        assert!(!is_masked(EDGE));
        for _ in 0..3 {
            pulse(EDGE);
            assert_eq!(next(word).await, 0b101);
            none(word).await;
            devices::acknowledge(line).await.unwrap();
            none(word).await;
        }
    });
}

#[test]
fn edges_before_the_acknowledgement_are_one_signal_more_and_mask_the_line() {
    run(|system, word| async move {
        let line = devices::line(system, EDGE.into()).await.unwrap();
        devices::bind(line, word, 1).await.unwrap();
        for edges in 1..5 {
            pulse(EDGE);
            assert_eq!(next(word).await, 1);
            assert!(!is_masked(EDGE));
            for _ in 1..edges {
                pulse(EDGE);
                settle().await;
                assert!(is_masked(EDGE), "two for an acknowledgement");
                none(word).await;
            }
            devices::acknowledge(line).await.unwrap();
            assert!(!is_masked(EDGE));
            if edges > 1 {
                assert_eq!(user::wait_signal(word, Now).await, Ok(1), "at once");
                devices::acknowledge(line).await.unwrap();
            }
            none(word).await;
        }
    });
}

#[test]
fn a_level_is_masked_until_it_is_acknowledged_and_comes_again() {
    run(|system, word| async move {
        let line = devices::line(system, LEVEL.into()).await.unwrap();
        devices::bind(line, word, 1).await.unwrap();
        raise(LEVEL);
        for _ in 0..4 {
            assert_eq!(next(word).await, 1);
            assert!(is_masked(LEVEL));
            none(word).await;
            devices::acknowledge(line).await.unwrap();
        }
        assert_eq!(next(word).await, 1);
        lower(LEVEL);
        devices::acknowledge(line).await.unwrap();
        none(word).await;
        assert!(!is_masked(LEVEL));
        // One that wants something before it is bound is heard.
        devices::unbind(line).await.unwrap();
        raise(LEVEL);
        none(word).await;
        devices::bind(line, word, 8).await.unwrap();
        assert_eq!(next(word).await, 8);
        lower(LEVEL);
    });
}

#[test]
fn a_line_has_one_object() {
    run(|system, _| async move {
        for wrong in [0, 2, lines::end().into(), 255, 256, 256 + u64::from(EDGE), u64::MAX] {
            assert_eq!(devices::line(system, wrong).await, Err(Error::InvalidArgument));
        }
        for line in [1, 15, 16, 23] {
            let taken = devices::line(system, line).await.unwrap();
            assert_eq!(devices::line(system, line).await, Err(Error::AlreadyBound));
            let copy = user::copy(taken, CapSlot::NULL, Rights::all(), 0).await.unwrap();
            user::close(taken).await.unwrap();
            assert_eq!(devices::line(system, line).await, Err(Error::AlreadyBound));
            user::close(copy).await.unwrap();
            assert!(devices::line(system, line).await.is_ok());
        }
    });
}

#[test]
fn a_full_quota_or_table_takes_no_line() {
    run(|system, _| async move {
        while user::control(Syscall::EndpointCreate, [0; 4]).await.is_ok() {}
        let mut refused = 0;
        for line in 3..16 {
            match devices::line(system, line).await {
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(error, Error::QuotaExceeded);
                    assert_eq!(devices::line(system, line).await, Err(error), "nobody has it");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0);
    });
}

#[test]
fn a_binding_replaces_the_one_before_and_none_masks() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (_, other) = notification(&process);
    run_in(&mut kernel, &process, |system, word| async move {
        for line in [EDGE, LEVEL] {
            let interrupt = devices::line(system, line.into()).await.unwrap();
            assert_eq!(devices::acknowledge(interrupt).await, Err(Error::NotificationGone));
            devices::bind(interrupt, word, 1).await.unwrap();
            raise(line);
            assert_eq!(next(word).await, 1);
            lower(line);
            devices::bind(interrupt, other, 2).await.unwrap();
            raise(line);
            assert_eq!(next(other).await, 2);
            none(word).await;
            lower(line);
            devices::unbind(interrupt).await.unwrap();
            assert!(is_masked(line));
            assert_eq!(devices::acknowledge(interrupt).await, Err(Error::NotificationGone));
            pulse(line);
            none(other).await;
            devices::unbind(interrupt).await.unwrap();
        }
    });
}

/// What ends a line's binding.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Its own last capability.
    Close,
    /// That of the notification.
    CloseNotification,
    /// A revoke of the capability through which it was bound.
    Revoke,
    /// The end of its process.
    Exit,
}

/// Each of them masks the line at once, and leaves it to the next.
#[test]
fn a_line_ends_with_whatever_it_is_bound_to() {
    for end in [End::Close, End::CloseNotification, End::Revoke, End::Exit] {
        for line in [EDGE, LEVEL] {
            let mut kernel = Kernel::boot();
            let (owner, process) = (kernel.process("owner"), kernel.process("p"));
            let (word, root) = notification(&owner);
            let rights = (Rights::SEND | Rights::GRANT, 0);
            let slot =
                transfer::copy(&owner.table, root, rights, &process.table, &process.quota).unwrap();
            let interrupt = Interrupt::new(line.into(), &process.quota).unwrap();
            let named = grant(&process, &interrupt, Rights::MANAGE, 0);
            let kept = process.keep(slot, &process.quota).unwrap();
            assert!(kept.is_some(), "it can be revoked");
            interrupt.bind(Some(Binding { notification: word, kept, bits: 1 })).unwrap();
            let (_, idle) = notification(&process);
            kernel.spawn(&process, 7, async move {
                match end {
                    End::Close => user::close(named).await.unwrap(),
                    End::CloseNotification => user::close(slot).await.unwrap(),
                    End::Revoke => {}
                    End::Exit => return,
                }
                let _ = user::wait_signal(idle, Never).await;
            });
            kernel.run_until_idle();
            let owners = kernel.spawn(&owner, 7, async move {
                match end {
                    End::CloseNotification => user::close(root).await.unwrap(),
                    End::Revoke => user::revoke(root).await.unwrap(),
                    End::Close | End::Exit => {}
                }
            });
            kernel.run_until_idle();
            assert_eq!(owners.exit_reason(), WELL);
            assert!(is_masked(line), "{end:?}");
            let expected = match end {
                End::Close | End::Exit => Error::StaleCapability,
                End::CloseNotification | End::Revoke => Error::NotificationGone,
            };
            assert_eq!(interrupt.acknowledge(), Err(expected), "{end:?}");
            drop(interrupt);
            if expected == Error::NotificationGone {
                process.close(named).unwrap();
            }
            drop(Interrupt::new(line.into(), &kernel.init.quota).unwrap());
        }
    }
}

/// One that was on its way when the line was unbound is counted.
#[test]
fn what_comes_to_nobody_is_counted_and_masks() {
    run(|system, word| async move {
        for line in [EDGE, LEVEL] {
            let interrupt = devices::line(system, line.into()).await.unwrap();
            devices::bind(interrupt, word, 1).await.unwrap();
            let before = strays();
            raise(line);
            devices::unbind(interrupt).await.unwrap();
            lower(line);
            settle().await;
            assert_eq!(strays(), before + 1);
            assert!(is_masked(line));
            none(word).await;
        }
    });
}

#[test]
fn lines_need_their_rights_and_their_kind() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let interrupt = Interrupt::new(EDGE.into(), &process.quota).unwrap();
    let weak = grant(&process, &interrupt, Rights::all().difference(Rights::MANAGE), 0);
    let strong = grant(&process, &interrupt, Rights::MANAGE, 0);
    let powerless = grant(
        &process,
        &SystemObject::new().unwrap(),
        Rights::all().difference(Rights::DEVICES),
        0,
    );
    let (word, _) = notification(&process);
    let deaf = grant(&process, &word, Rights::all().difference(Rights::SEND), 0);
    let masked = grant(&process, &word, Rights::SEND, 0b110);
    run_in(&mut kernel, &process, |_, word| async move {
        assert_eq!(devices::line(powerless, 3).await, Err(Error::MissingRights));
        assert_eq!(devices::line(word, 3).await, Err(Error::WrongKind));
        assert_eq!(devices::bind(weak, word, 1).await, Err(Error::MissingRights));
        assert_eq!(devices::unbind(weak).await, Err(Error::MissingRights));
        assert_eq!(devices::acknowledge(weak).await, Err(Error::MissingRights));
        assert_eq!(devices::bind(strong, deaf, 1).await, Err(Error::MissingRights));
        assert_eq!(devices::bind(strong, masked, 1).await, Err(Error::MissingRights));
        assert_eq!(devices::bind(strong, strong, 1).await, Err(Error::WrongKind));
        assert_eq!(devices::bind(word, word, 1).await, Err(Error::WrongKind));
        assert_eq!(devices::acknowledge(word).await, Err(Error::WrongKind));
        assert_eq!(devices::acknowledge(CapSlot::NULL).await, Err(Error::EmptySlot));
        assert!(is_masked(EDGE), "nothing of that has bound it");
        devices::bind(strong, masked, 0b10).await.unwrap();
    });
}

/// It has a reference to the object still, as a call has that looked it up before.
#[test]
fn what_comes_too_late_finds_the_line_gone() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("p");
    let (word, _) = notification(&process);
    let first = Interrupt::new(EDGE.into(), &process.quota).unwrap();
    let slot = grant(&process, &first, Rights::all(), 0);
    process.close(slot).unwrap();
    let second = Interrupt::new(EDGE.into(), &process.quota).unwrap();
    let binding = || Some(Binding { notification: word.clone(), kept: None, bits: 1 });
    assert_eq!(first.bind(binding()), Err(Error::StaleCapability));
    assert_eq!(first.bind(None), Err(Error::StaleCapability));
    assert_eq!(first.acknowledge(), Err(Error::StaleCapability));
    second.bind(binding()).unwrap();
    drop(first);
    assert!(!is_masked(EDGE), "the end of the first is none of the second's business");
    second.acknowledge().unwrap();
    let live = registry::live(ObjectKind::Interrupt);
    drop(second);
    assert_eq!((registry::live(ObjectKind::Interrupt), is_masked(EDGE)), (live - 1, true));
    kernel.run_until_idle();
}
