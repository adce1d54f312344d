//! What is refused, and that it changes nothing.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, Registers, Rights, Syscall, Tag,
};

use super::{Kernel, endpoint, grant, message, pair, user, words};
use crate::{arch::host::clock, system::SystemObject};

#[test]
fn the_try_forms_never_wait() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let both = kernel.spawn(&pair.server, 10, async move {
        assert_eq!(user::receive(receiver, Now).await, Err(Error::WouldBlock));
        assert_eq!(user::send(receiver, words(), Now).await, Err(Error::WouldBlock));
        assert_eq!(user::call(receiver, words(), Now).await, Err(Error::WouldBlock));
        assert_eq!(user::receive(receiver, Now).await, Err(Error::WouldBlock), "nothing is left");
    });
    kernel.run_until_idle();
    assert!(both.exit_reason().is_some());
}

#[test]
fn a_try_meets_a_partner_that_waits() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    kernel.spawn(&pair.server, 30, async move {
        assert_eq!(user::receive(receiver, Never).await.unwrap().message, words());
        let call = user::receive(receiver, Never).await.unwrap();
        user::reply(call.message).await.unwrap();
    });
    let client = kernel.spawn(&pair.client, 20, async move {
        assert_eq!(user::send(sender, words(), Now).await, Ok(()));
        assert_eq!(user::call(sender, message(8, &[8]), Now).await, Ok(message(8, &[8])));
    });
    kernel.run_until_idle();
    assert!(client.exit_reason().is_some());
}

#[test]
fn a_wait_that_nobody_ends_is_over_at_its_deadline() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let thread = kernel.spawn(&pair.server, 10, async move {
        for call in [Syscall::Send, Syscall::Receive, Syscall::Call] {
            for wait in [1, 5_000_000, 1 << 40] {
                let deadline = clock::nanoseconds() + wait;
                let answer = user::control(call, [receiver.bits(), 0, deadline, 0]).await;
                assert_eq!(answer, Err(Error::TimedOut), "{call:?} {wait}");
                assert_eq!(clock::nanoseconds(), deadline, "{call:?} {wait}");
            }
            // One that has passed already.
            let answer = user::control(call, [receiver.bits(), 0, 1, 0]).await;
            assert_eq!(answer, Err(Error::TimedOut), "{call:?}");
        }
        assert_eq!(user::receive(receiver, Now).await, Err(Error::WouldBlock));
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), Some(orbital_abi::ExitReason::Exited(0)));
}

#[test]
fn tags_that_mean_nothing_are_refused() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let thread = kernel.spawn(&pair.server, 10, async move {
        for call in [Syscall::Send, Syscall::Call, Syscall::Reply, Syscall::ReplyReceive] {
            for tag in [497 << 32, 511 << 32, 5 << 41, 5 << 44, 1 << 47, 1 << 63, u64::MAX] {
                assert!(Tag::from_bits(tag).is_err());
                let answer = user::control(call, [receiver.bits(), tag, 0, 0]).await;
                assert_eq!(answer, Err(Error::InvalidMessage), "{call:?} {tag:#x}");
            }
        }
    });
    kernel.run_until_idle();
    assert!(thread.exit_reason().is_some());
}

#[test]
fn a_capability_must_be_there_and_allow_it() {
    let mut kernel = Kernel::boot();
    let process = kernel.process("program");
    let (endpoint, all) = endpoint(&process);
    let send_only = grant(&process, &endpoint, Rights::SEND, 0);
    let receive_only = grant(&process, &endpoint, Rights::RECEIVE, 0);
    let system = grant(&process, &SystemObject::new().unwrap(), Rights::all(), 0);
    drop(endpoint);
    let thread = kernel.spawn(&process, 10, async move {
        let closed = user::copy(all, CapSlot::NULL, Rights::all(), 0).await.unwrap();
        user::close(closed).await.unwrap();
        let expected = [
            (CapSlot::NULL, Error::EmptySlot),
            (CapSlot::new(60, 1), Error::EmptySlot),
            (CapSlot::new(u32::MAX, u32::MAX), Error::EmptySlot),
            (closed, Error::StaleCapability),
            (system, Error::WrongKind),
        ];
        for (slot, error) in expected {
            assert_eq!(user::send(slot, words(), Now).await, Err(error), "{slot:?}");
            assert_eq!(user::call(slot, words(), Now).await, Err(error), "{slot:?}");
            assert_eq!(user::receive(slot, Now).await, Err(error), "{slot:?}");
            assert_eq!(user::reply_receive(slot, words(), Now).await, Err(error), "{slot:?}");
        }
        assert_eq!(user::send(receive_only, words(), Now).await, Err(Error::MissingRights));
        assert_eq!(user::call(receive_only, words(), Now).await, Err(Error::MissingRights));
        assert_eq!(user::receive(send_only, Now).await, Err(Error::MissingRights));
        let refused = user::reply_receive(send_only, words(), Now).await;
        assert_eq!(refused, Err(Error::MissingRights));
    });
    kernel.run_until_idle();
    assert!(thread.exit_reason().is_some());
}

#[test]
fn a_reply_is_owed_only_after_a_call() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server = kernel.spawn(&pair.server, 20, async move {
        assert_eq!(user::reply(words()).await, Err(Error::NoReplyOwed));
        let refused = user::reply_receive(receiver, words(), Now).await;
        assert_eq!(refused, Err(Error::NoReplyOwed));
        user::receive(receiver, Never).await.unwrap();
        assert_eq!(user::reply(words()).await, Err(Error::NoReplyOwed), "it was only sent");
    });
    kernel.spawn(&pair.client, 10, async move {
        user::send(sender, words(), Never).await.unwrap();
    });
    kernel.run_until_idle();
    assert!(server.exit_reason().is_some());
}

#[test]
fn a_refused_reply_and_receive_still_owes_its_reply() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    kernel.spawn(&pair.server, 20, async move {
        user::receive(receiver, Never).await.unwrap();
        let refused = user::reply_receive(CapSlot::NULL, words(), Never).await;
        assert_eq!(refused, Err(Error::EmptySlot));
        let odd = Registers::control([receiver.bits(), u64::MAX, u64::MAX, 0]);
        let refused = user::syscall(Syscall::ReplyReceive as u64, odd).await;
        assert_eq!(refused, Err(Error::InvalidMessage));
        assert_eq!(user::reply(message(1, &[])).await, Ok(()));
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        assert_eq!(user::call(sender, words(), Never).await, Ok(message(1, &[])));
    });
    kernel.run_until_idle();
    assert!(client.exit_reason().is_some());
}
