//! Endpoints at which nobody can receive any more, though others can still send: they are over.
#![forbid(unsafe_code)]

use std::{cell::RefCell, rc::Rc};

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, ExitReason, Rights,
};

use super::{
    Kernel, Pair,
    ends::another_client,
    pair,
    revokes::{Wait, derive, wait},
    user, words,
};
use crate::{
    ipc::ending::STEP,
    object::Ref,
    process::Process,
    tests::kernel::{endpoint, grant},
    thread::Tcb,
};

/// More than one step tells.
const WAITERS: usize = 2 * STEP + 3;

type Told = Rc<RefCell<Vec<Result<(), Error>>>>;

/// Threads of `process` that wait by `slot`.
fn waiters(kernel: &mut Kernel, process: &Ref<Process>, how: Wait, slot: CapSlot) -> Told {
    let told = Told::default();
    for _ in 0..WAITERS {
        let told = told.clone();
        kernel.spawn(process, 10, async move {
            let result = wait(how, slot).await;
            told.borrow_mut().push(result);
        });
    }
    kernel.run_until_idle();
    assert_eq!(*told.borrow(), [], "they wait");
    told
}

const GONE: [Result<(), Error>; WAITERS] = [Err(Error::EndpointGone); WAITERS];

#[test]
fn who_waits_to_be_received_is_told_and_so_is_who_comes() {
    for how in [Wait::Send, Wait::Call] {
        let mut kernel = Kernel::boot();
        let Pair { server, client, receiver, sender } = pair(&kernel);
        let (other, sends) = another_client(&kernel, &server, receiver);
        let told = waiters(&mut kernel, &client, how, sender);
        server.close(receiver).unwrap();
        kernel.run_until_idle();
        assert_eq!(*told.borrow(), GONE, "{how:?}");
        let late = kernel.spawn(&other, 10, async move {
            for deadline in [Never, Now] {
                assert_eq!(user::send(sends, words(), deadline).await, Err(Error::EndpointGone));
                assert_eq!(user::call(sends, words(), deadline).await, Err(Error::EndpointGone));
            }
            user::close(sends).await.unwrap();
        });
        kernel.run_until_idle();
        assert_eq!(late.exit_reason(), Some(ExitReason::Exited(0)));
    }
}

#[test]
fn who_waits_to_receive_by_the_last_one_is_told() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let told = waiters(&mut kernel, &pair.server, Wait::Receive, pair.receiver);
    pair.server.close(pair.receiver).unwrap();
    kernel.run_until_idle();
    assert_eq!(*told.borrow(), GONE);
}

#[test]
fn the_end_of_the_server_s_process_is_the_endpoint_s() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let told = waiters(&mut kernel, &pair.client, Wait::Call, pair.sender);
    kernel.spawn(&pair.server, 10, async {});
    kernel.run_until_idle();
    assert_eq!(*told.borrow(), GONE);
}

/// How the capability goes on elsewhere.
#[derive(Clone, Copy, Debug)]
enum Way {
    Copied,
    Moved,
    /// What it was derived from has all rights.
    Derived,
}

#[test]
fn an_endpoint_where_someone_else_can_receive_goes_on() {
    for way in [Way::Copied, Way::Moved, Way::Derived] {
        let mut kernel = Kernel::boot();
        let Pair { server, client, receiver, sender } = pair(&kernel);
        let (other, sends) = another_client(&kernel, &server, receiver);
        let told = waiters(&mut kernel, &client, Wait::Send, sender);
        let goes_on = kernel.spawn(&server, 10, async move {
            let (kept, closed) = match way {
                Way::Copied => {
                    let copy = user::copy(receiver, CapSlot::NULL, Rights::RECEIVE, 0);
                    (copy.await.unwrap(), Some(receiver))
                }
                Way::Moved => (user::relocate(receiver).await.unwrap(), None),
                Way::Derived => {
                    let copy = user::copy(receiver, CapSlot::NULL, Rights::RECEIVE, 0);
                    (receiver, Some(copy.await.unwrap()))
                }
            };
            if let Some(slot) = closed {
                user::close(slot).await.unwrap();
            }
            for _ in 0..WAITERS {
                user::receive(kept, Now).await.unwrap();
            }
            // The last one ends it.
            user::close(kept).await.unwrap();
        });
        kernel.run_until_idle();
        assert_eq!(goes_on.exit_reason(), Some(ExitReason::Exited(0)), "{way:?}");
        assert_eq!(*told.borrow(), [Ok(()); WAITERS], "{way:?}");
        let late = kernel.spawn(&other, 10, async move {
            assert_eq!(user::send(sends, words(), Now).await, Err(Error::EndpointGone));
        });
        kernel.run_until_idle();
        assert_eq!(late.exit_reason(), Some(ExitReason::Exited(0)), "{way:?}");
    }
}

/// What all were derived from goes first; then one by a revoke, and the last by hand.
#[test]
fn one_that_is_revoked_is_one_less() {
    let mut kernel = Kernel::boot();
    let (server, client) = (kernel.process("server"), kernel.process("client"));
    let (object, root) = endpoint(&server);
    let middle = derive(&server, root, &server);
    let last = derive(&server, middle, &client);
    let sender = grant(&client, &object, Rights::SEND | Rights::GRANT, 0);
    let told = waiters(&mut kernel, &client, Wait::Send, sender);
    server.close(root).unwrap();
    let revokes = kernel.spawn(&server, 20, async move {
        user::revoke(middle).await.unwrap();
        user::close(middle).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(revokes.exit_reason(), Some(ExitReason::Exited(0)));
    assert!(client.capability(last).is_err());
    assert_eq!(*told.borrow(), GONE);
}

/// The last receiver goes, and the last capability of all before everybody was told of that; another endpoint, which stands
/// behind it, ends too.
#[test]
fn an_end_begins_once() {
    let mut kernel = Kernel::boot();
    let [first, second] = [(); 2].map(|()| pair(&kernel));
    let told =
        [&first, &second].map(|pair| waiters(&mut kernel, &pair.client, Wait::Send, pair.sender));
    for pair in [&first, &second] {
        pair.server.close(pair.receiver).unwrap();
    }
    for pair in [&first, &second] {
        pair.client.close(pair.sender).unwrap();
    }
    kernel.run_until_idle();
    for told in told {
        assert_eq!(*told.borrow(), GONE);
    }
}

/// The one thread of `process` that is there to be ended: its end is its process's.
fn resting(kernel: &mut Kernel, process: &Ref<Process>) -> Ref<Tcb> {
    let (_, slot) = endpoint(process);
    kernel.spawn(process, 10, async move {
        let _ = user::receive(slot, Never).await;
    })
}

#[test]
fn a_bound_endpoint_ends_too_and_its_thread_is_free_for_another() {
    let mut kernel = Kernel::boot();
    let Pair { server, client, receiver, sender } = pair(&kernel);
    let rests = resting(&mut kernel, &server);
    let thread = grant(&server, &rests, Rights::MANAGE, 0);
    let told = waiters(&mut kernel, &client, Wait::Call, sender);
    let (_, other) = endpoint(&server);
    let binds = kernel.spawn(&server, 20, async move {
        let bind = |slot| user::bind(orbital_abi::Syscall::EndpointBind, slot, thread);
        bind(receiver).await.unwrap();
        assert_eq!(bind(other).await, Err(Error::AlreadyBound));
        user::close(receiver).await.unwrap();
        bind(other).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!(binds.exit_reason(), Some(ExitReason::Exited(0)));
    assert_eq!(*told.borrow(), GONE);
}
