//! Who has room for capabilities, and who pays for it.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{Never, Now},
    Error, Rights, Syscall,
};

use super::{
    super::{BADGE, Kernel, differential::ShortCuts, grant, message, pair, user},
    Operation, WELL, is_refused, own_notifications, patient,
};
use crate::{
    capability::Capability,
    ipc::Endpoint,
    object::{Charge, Ref},
    process::Process,
    sched,
    tests::{
        kernel::{CHILD_BYTES, notification},
        page,
    },
    thread::{FaultHandler, state::ThreadState},
};

/// More than the receiver accepts, or than there is room for without a page.
#[test]
fn a_receiver_without_room_goes_on_waiting() {
    for short_cuts in [true, false] {
        for (accepts, has_page) in (0..=4).flat_map(|accepts| [(accepts, true), (accepts, false)]) {
            let mut kernel = Kernel::boot();
            let _short_cuts = ShortCuts::set(short_cuts);
            let pair = pair(&kernel);
            patient(&mut kernel, &pair, accepts, has_page);
            let sender = pair.sender;
            let client = kernel.spawn(&pair.client, 10, async move {
                let page = Some(page::own().await);
                let own = own_notifications(4);
                let slots: Vec<_> = own.iter().map(|(_, slot)| *slot).collect();
                for count in 1..=4 {
                    if count > accepts || count > 1 && !has_page {
                        is_refused(sender, &slots[..count], page, Error::NoRoom).await;
                    }
                }
                assert_eq!(user::call(sender, message(1, &[]), Never).await, Ok(message(2, &[])));
            });
            kernel.run_until_idle();
            assert_eq!(client.exit_reason(), WELL);
        }
    }
}

#[test]
fn operations_that_can_bring_or_accept_none_refuse_to() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let thread = kernel.spawn(&pair.server, 10, async move {
        let run = |call, sent: u64, accepts: u64, rest: u64| {
            let tag = sent << 41 | accepts << 44 | rest;
            user::control(call, [receiver.bits(), tag, 0, receiver.bits()])
        };
        for count in [5, 6, 7] {
            for call in [Syscall::Send, Syscall::Call, Syscall::Reply, Syscall::ReplyReceive] {
                assert_eq!(run(call, count, 0, 0).await, Err(Error::InvalidMessage));
                assert_eq!(run(call, 0, count, 0).await, Err(Error::InvalidMessage));
            }
            assert_eq!(run(Syscall::Receive, 0, count, 0).await, Err(Error::InvalidMessage));
        }
        for call in [Syscall::Send, Syscall::Reply] {
            assert_eq!(run(call, 0, 1, 0).await, Err(Error::InvalidMessage), "{call:?}");
        }
        for (sent, rest) in [(1, 0), (0, 1), (0, 1 << 32), (0, 1 << 63)] {
            assert_eq!(run(Syscall::Receive, sent, 0, rest).await, Err(Error::InvalidMessage));
        }
        for call in [Syscall::Send, Syscall::Call, Syscall::Reply, Syscall::ReplyReceive] {
            assert_eq!(run(call, 2, 0, 0).await, Err(Error::InvalidMessage), "without a page");
        }
        assert_eq!(run(Syscall::Receive, 0, 4, 0).await, Err(Error::WouldBlock));
        assert_eq!(run(Syscall::Send, 1, 0, 0).await, Err(Error::WouldBlock));
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}

/// The same with answers: the call is still owed.
#[test]
fn an_answer_with_a_mistake_is_still_owed() {
    for (short_cuts, together) in [(true, true), (false, true), (true, false)] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        kernel.spawn(&pair.server, 20, async move {
            let own = own_notifications(1);
            user::receive(receiver, Never).await.unwrap();
            let call = if together { Syscall::ReplyReceive } else { Syscall::Reply };
            let endpoint = if together { receiver } else { CapSlot::NULL };
            let answer =
                |slot| async move { Operation::new(call, endpoint, &[slot], 0).run(None).await };
            assert_eq!(answer(CapSlot::NULL).await, Err(Error::EmptySlot));
            let bare = grant(&sched::current().process, &own[0].0, Rights::SEND, 0);
            assert_eq!(answer(bare).await, Err(Error::MissingRights));
            user::reply(message(2, &[])).await.unwrap();
            // The next one accepts none.
            user::receive(receiver, Never).await.unwrap();
            assert_eq!(answer(own[0].1).await, Err(Error::NoRoom));
            user::reply(message(3, &[])).await.unwrap();
        });
        let client = kernel.spawn(&pair.client, 10, async move {
            let call = Operation::new(Syscall::Call, sender, &[], 1);
            assert_eq!(call.run(None).await.unwrap().1, []);
            assert_eq!(user::call(sender, message(1, &[]), Never).await, Ok(message(3, &[])));
        });
        kernel.run_until_idle();
        assert_eq!(client.exit_reason(), WELL);
    }
}

/// A thread that waits for its fault handler accepts no capability.
#[test]
fn the_answer_to_a_fault_brings_none() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let receiver = pair.receiver;
        let server = kernel.spawn(&pair.server, 20, async move {
            let own = own_notifications(1);
            user::receive(receiver, Never).await.unwrap();
            let sent = [own[0].1];
            let answer = Operation::new(Syscall::ReplyReceive, receiver, &sent, 0);
            assert_eq!(answer.run(None).await, Err(Error::NoRoom));
            user::reply(message(0, &[])).await.unwrap();
        });
        let thread = kernel.thread(&pair.client, 10, async {
            user::fault(0x1000).await;
            0
        });
        let endpoint = pair.client.capability(pair.sender).unwrap();
        let endpoint: Ref<Endpoint> = endpoint.object(Rights::SEND).unwrap();
        let handler = FaultHandler { endpoint: endpoint.erase(), badge: BADGE, kept: None };
        thread.set_fault_handler(Some(handler)).unwrap();
        thread.start().unwrap();
        kernel.run_until_idle();
        assert_eq!((server.exit_reason(), thread.exit_reason()), (WELL, WELL));
    }
}

/// Slots are set aside once, not for each message, and go back with their thread.
#[test]
fn slots_that_were_set_aside_come_back() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let process = pair.server.clone();
    let keeper = kernel.spawn(&pair.server, 5, async {
        user::control(Syscall::ThreadSleep, [u64::MAX, 0, 0, 0]).await.unwrap();
    });
    kernel.run_until_idle();
    let before = process.quota.usage();
    for round in 0..20 {
        for accepts in 0..=4 {
            kernel.spawn(&pair.server, 10, async move {
                for _ in 0..20 {
                    let receive =
                        Operation { deadline: Now, ..Operation::receive(receiver, accepts) };
                    assert_eq!(receive.run(None).await, Err(Error::WouldBlock));
                }
            });
        }
        let killed = kernel.spawn(&pair.server, 10, async move {
            Operation::receive(receiver, 4).run(None).await.unwrap();
        });
        kernel.run_until_idle();
        assert_eq!(killed.state(), ThreadState::Blocked);
        killed.kill();
        drop(killed);
        kernel.run_until_idle();
        assert_eq!(process.quota.usage(), before, "round {round}");
    }
    keeper.kill();
    kernel.run_until_idle();
}

/// Where the quota has no room for slots the wait does not begin.
#[test]
fn without_means_for_slots_nothing_begins() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let receiver = pair.receiver;
    let thread = kernel.spawn(&pair.server, 10, async move {
        let own: Ref<Process> = sched::current().process.clone();
        let (object, _) = notification(&own);
        let used = own.quota.usage().kernel_bytes_used;
        let kept = Charge::new(&own.quota, 0, CHILD_BYTES - used).unwrap();
        let mut filled = 0;
        while own.install(Capability::new(object.clone(), Rights::empty())).is_ok() {
            filled += 1;
        }
        assert!(filled > 0);
        for call in [Syscall::Receive, Syscall::Call] {
            let operation = Operation::new(call, receiver, &[], 4);
            assert_eq!(operation.run(None).await, Err(Error::QuotaExceeded), "{call:?}");
        }
        drop(kept);
        let operation = Operation { deadline: Now, ..Operation::receive(receiver, 4) };
        assert_eq!(operation.run(None).await, Err(Error::WouldBlock));
    });
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
}
