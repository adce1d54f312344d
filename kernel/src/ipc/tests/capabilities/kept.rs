//! Capabilities in the answers to calls that were kept.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Deadline::Now, Error, Rights, Syscall};

use super::{
    super::{Kernel, differential::ShortCuts, grant, pair, user},
    Operation, WELL, held, own_notifications,
};
use crate::{sched, tests::page};

/// By `Reply`, which names the kept one beside the first capability. What is refused is to be answered still.
#[test]
fn a_kept_reply_brings_capabilities() {
    for accepts in 1..=4 {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let server = kernel.spawn(&pair.server, 20, async move {
            let page = Some(page::own().await);
            Operation::receive(receiver, 0).run(page).await.unwrap();
            let kept = user::keep_reply().await.unwrap();
            let own = own_notifications(4);
            let slots: Vec<_> = own.iter().map(|(_, slot)| *slot).collect();
            let answer = |sent| Operation::new(Syscall::Reply, kept, sent, 0);
            let bare = grant(&sched::current().process, &own[0].0, Rights::SEND, 0);
            for (bad, error) in [
                (CapSlot::NULL, Error::EmptySlot),
                (kept, Error::MissingRights),
                (bare, Error::MissingRights),
            ] {
                let sent = [bad];
                let answer = Operation::new(Syscall::Reply, kept, &sent, 0);
                assert_eq!(answer.run(page).await, Err(error));
            }
            for count in accepts + 1..=4 {
                assert_eq!(answer(&slots[..count]).run(page).await, Err(Error::NoRoom));
            }
            answer(&slots[..accepts]).run(page).await.unwrap();
            assert_eq!(answer(&[]).run(page).await, Err(Error::StaleCapability));
        });
        let client = kernel.spawn(&pair.client, 10, async move {
            let page = Some(page::own().await);
            let call = Operation::new(Syscall::Call, sender, &[], accepts);
            let (_, came) = call.run(page).await.unwrap();
            assert_eq!(came.len(), accepts);
            for (number, slot) in came.iter().enumerate() {
                let (_, rights, badge) = held(*slot).unwrap();
                assert_eq!((rights, badge), (Rights::SEND | Rights::GRANT, 1 << number));
            }
        });
        kernel.run_until_idle();
        assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
    }
}

/// `ReplyReceive` with capabilities answers what the thread itself owes, also where it owes nothing.
#[test]
fn an_answer_with_capabilities_that_receives_is_the_thread_s_own() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let server = kernel.spawn(&pair.server, 10, async move {
            let [(_, slot)] = own_notifications(1)[..] else { unreachable!() };
            Operation::receive(receiver, 0).run(None).await.unwrap();
            let kept = user::keep_reply().await.unwrap();
            let both = [slot];
            let answer = Operation::new(Syscall::ReplyReceive, receiver, &both, 0);
            assert_eq!(answer.run(None).await, Err(Error::NoReplyOwed));
            Operation::receive(receiver, 0).run(None).await.unwrap();
            let answer = Operation { deadline: Now, ..answer };
            assert_eq!(answer.run(None).await, Err(Error::WouldBlock), "it was sent");
            assert_eq!(answer.run(None).await, Err(Error::NoReplyOwed));
            Operation::new(Syscall::Reply, kept, &both, 0).run(None).await.unwrap();
        });
        let callers = [20, 20].map(|priority| {
            kernel.spawn(&pair.client, priority, async move {
                let call = Operation::new(Syscall::Call, sender, &[], 1);
                assert_eq!(call.run(None).await.unwrap().1.len(), 1);
            })
        });
        kernel.run_until_idle();
        assert_eq!(server.exit_reason(), WELL);
        assert!(callers.iter().all(|caller| caller.exit_reason() == WELL));
    }
}
