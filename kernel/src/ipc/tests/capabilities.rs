//! Capabilities that messages bring: all of them or none, each derived from its sender's, in slots that were set
//! aside before.
#![forbid(unsafe_code)]

mod bound;
mod cut;
mod kept;
mod rooms;

use orbital_abi::{
    CapSlot,
    Deadline::{self, Never, Now},
    Error, ExitReason, Registers, Rights, Syscall, Tag,
    message::PAGE_SLOTS,
};

use super::{
    BADGE, Kernel, Notes, ORDERS, Pair, differential::ShortCuts, grant, message, pair, user,
};
use crate::{
    capability::{derivation::MAX_ANCESTORS, revoke::Revoking, transfer},
    ipc::Notification,
    object::Ref,
    sched,
    tests::{
        kernel::endpoint,
        page::{self, Page},
    },
};

const WELL: Option<ExitReason> = Some(ExitReason::Exited(0));

/// What a message operation is made of.
#[derive(Clone, Copy)]
struct Operation<'a> {
    call: Syscall,
    endpoint: CapSlot,
    words: usize,
    sent: &'a [CapSlot],
    accepts: usize,
    deadline: Deadline,
}

impl<'a> Operation<'a> {
    fn new(call: Syscall, endpoint: CapSlot, sent: &'a [CapSlot], accepts: usize) -> Self {
        Self { call, endpoint, words: 0, sent, accepts, deadline: Never }
    }

    fn receive(endpoint: CapSlot, accepts: usize) -> Self {
        Self::new(Syscall::Receive, endpoint, &[], accepts)
    }

    /// Makes it; gives badge, tag, marks, and the slots of what came.
    async fn run(self, page: Option<Page>) -> Result<([u64; 3], Vec<CapSlot>), Error> {
        if let (Some(page), [_, rest @ ..]) = (page, self.sent) {
            let mut words = page.read();
            for (place, slot) in PAGE_SLOTS.zip(rest) {
                words[place] = slot.bits();
            }
            page.write(words);
        }
        let tag = Tag::new(0, self.words).unwrap();
        let tag = tag.with_capabilities(self.sent.len(), self.accepts).unwrap();
        // In a call that answers and brings nothing the word names what is answered.
        let noise = if self.call == Syscall::ReplyReceive { 0 } else { 0x5eed };
        let first = self.sent.first().map_or(noise, |slot| slot.bits());
        let control = [self.endpoint.bits(), tag.bits(), self.deadline.bits(), first];
        let registers = Registers { control, words: [0; 8] };
        let answer = user::syscall(self.call as u64, registers).await?;
        let [badge, tag, marks, first] = answer.control;
        let count = Tag::from_bits(tag).unwrap().capabilities();
        assert_eq!(Tag::from_bits(tag).unwrap().accepted(), 0, "its own affair");
        assert_eq!(first != 0, count > 0);
        let mut slots = vec![first; count.min(1)];
        if count > 1 {
            let words = page.expect("a page").read();
            slots.extend(PAGE_SLOTS.take(count - 1).map(|place| words[place]));
        }
        Ok(([badge, tag, marks], slots.into_iter().map(CapSlot::from_bits).collect()))
    }
}

/// Notifications of the current program's, with badges that tell them apart.
fn own_notifications(count: u64) -> Vec<(Ref<Notification>, CapSlot)> {
    let process = sched::current().process.clone();
    let make = |number| {
        let notification = Notification::new(&process.quota).unwrap();
        let rights = Rights::SEND | Rights::GRANT;
        let slot = grant(&process, &notification, rights, 1_u64 << number);
        (notification, slot)
    };
    (0..count).map(make).collect()
}

/// What `slot` of the current program's table holds: object's address, rights, and badge.
fn held(slot: CapSlot) -> Result<(usize, Rights, u64), Error> {
    let process = sched::current().process.clone();
    let capability = process.capability(slot)?;
    let object = core::ptr::from_ref(capability.object.header()).addr();
    Ok((object, capability.rights, capability.badge))
}

/// Every count each way, whoever comes first, by both paths and both kinds of answer. Senders keep theirs; what
/// comes is the same, and goes when the sender's is revoked.
#[test]
fn every_count_goes_each_way() {
    for ((server, client), short_cuts) in ORDERS.into_iter().flat_map(|o| [(o, true), (o, false)]) {
        for together in [true, false] {
            let mut kernel = Kernel::boot();
            let _short_cuts = ShortCuts::set(short_cuts);
            let pair = pair(&kernel);
            let (receiver, sender) = (pair.receiver, pair.sender);
            let notes: Notes<(Vec<_>, Vec<CapSlot>)> = Notes::default();
            let noted = notes.clone();
            kernel.spawn(&pair.server, server, async move {
                let page = page::own().await;
                let own = own_notifications(4);
                let slots: Vec<_> = own.iter().map(|(_, slot)| *slot).collect();
                let mut got = Operation::receive(receiver, 4).run(Some(page)).await.unwrap();
                loop {
                    let ([badge, _, marks], came) = got;
                    assert_eq!((badge, marks), (BADGE, 1));
                    let answers = &slots[..4 - came.len()];
                    let found = came.iter().map(|slot| held(*slot).unwrap()).collect();
                    noted.borrow_mut().push((found, came));
                    got = if together {
                        let call = Syscall::ReplyReceive;
                        Operation::new(call, receiver, answers, 4).run(Some(page)).await.unwrap()
                    } else {
                        let reply = Operation::new(Syscall::Reply, CapSlot::NULL, answers, 0);
                        reply.run(Some(page)).await.unwrap();
                        Operation::receive(receiver, 4).run(Some(page)).await.unwrap()
                    };
                }
            });
            let client = kernel.spawn(&pair.client, client, async move {
                let page = page::own().await;
                let own = own_notifications(4);
                let slots: Vec<_> = own.iter().map(|(_, slot)| *slot).collect();
                for count in [0, 1, 2, 3, 4, 3, 2, 1, 0, 4] {
                    page.message(9, 0);
                    let call = Operation::new(Syscall::Call, sender, &slots[..count], 4);
                    let (_, came) = call.run(Some(page)).await.unwrap();
                    assert_eq!(came.len(), 4 - count);
                    for (number, slot) in came.iter().enumerate() {
                        let (_, rights, badge) = held(*slot).unwrap();
                        assert_eq!((rights, badge), (Rights::SEND | Rights::GRANT, 1 << number));
                        user::close(*slot).await.unwrap();
                    }
                    let (found, theirs) = notes.borrow_mut().pop().unwrap();
                    let kept: Vec<_> =
                        slots[..count].iter().map(|slot| held(*slot).unwrap()).collect();
                    assert_eq!(found, kept, "{count}");
                    assert_eq!(theirs.len(), count);
                    // What else stands in the page is what stood there.
                    let words = page.read();
                    let is_same = |place: &usize| words[*place] == page::word(9, *place);
                    assert!((0..497).chain(500..512).all(|place| is_same(&place)), "{count}");
                }
                for (_, slot) in &own {
                    user::revoke(*slot).await.unwrap();
                }
                user::exit(7).await;
            });
            kernel.run_until_idle();
            assert_eq!(client.exit_reason(), Some(ExitReason::Exited(7)));
        }
    }
}

/// What a receiver has is a child of what the sender has: it goes with a revoke of that.
#[test]
fn what_came_is_revoked_with_what_it_came_from() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let server = kernel.spawn(&pair.server, 20, async move {
            let (_, came) = Operation::receive(receiver, 1).run(None).await.unwrap();
            assert!(held(came[0]).is_ok());
            user::reply(message(0, &[])).await.unwrap();
            let again = Operation::receive(receiver, 1).run(None).await.unwrap();
            assert_eq!(held(came[0]), Err(Error::StaleCapability));
            assert!(again.1.is_empty());
        });
        let client = kernel.spawn(&pair.client, 10, async move {
            let [(_, slot)] = own_notifications(1)[..] else { unreachable!() };
            Operation::new(Syscall::Call, sender, &[slot], 0).run(None).await.unwrap();
            user::revoke(slot).await.unwrap();
            assert!(held(slot).is_ok(), "it keeps its own");
            user::send(sender, message(1, &[]), Never).await.unwrap();
        });
        kernel.run_until_idle();
        assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
    }
}

/// A server that receives with `accepts`, and then answers the first message that is no mistake.
fn patient(kernel: &mut Kernel, pair: &Pair, accepts: usize, has_page: bool) {
    let receiver = pair.receiver;
    kernel.spawn(&pair.server, 20, async move {
        let page = if has_page { Some(page::own().await) } else { None };
        let before = sched::current().process.quota.usage();
        let (_, came) = Operation::receive(receiver, accepts).run(page).await.unwrap();
        assert!(came.is_empty());
        assert_eq!(sched::current().process.quota.usage(), before);
        user::reply(message(2, &[])).await.unwrap();
    });
    kernel.run_until_idle();
}

/// Every mistake: nobody hears of it, and nothing has come.
async fn is_refused(sender: CapSlot, sent: &[CapSlot], page: Option<Page>, error: Error) {
    for (call, deadline) in
        [(Syscall::Send, Never), (Syscall::Send, Now), (Syscall::Call, Never), (Syscall::Call, Now)]
    {
        let operation = Operation { deadline, ..Operation::new(call, sender, sent, 0) };
        assert_eq!(operation.run(page).await, Err(error), "{call:?} {sent:?}");
    }
}

#[test]
fn one_mistake_keeps_all_from_going() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        patient(&mut kernel, &pair, 4, true);
        let (sender, client) = (pair.sender, pair.client.clone());
        let client = kernel.spawn(&pair.client, 10, async move {
            let page = Some(page::own().await);
            let own = own_notifications(3);
            let good: Vec<_> = own.iter().map(|(_, slot)| *slot).collect();
            let stale = good[2];
            user::close(stale).await.unwrap();
            let bare = grant(&client, &own[0].0, Rights::SEND, 0);
            for (bad, error) in [
                (stale, Error::StaleCapability),
                (CapSlot::new(999, 1), Error::EmptySlot),
                (CapSlot::NULL, Error::EmptySlot),
                (bare, Error::MissingRights),
                (sender, Error::MissingRights),
            ] {
                for place in 0..4 {
                    let mut sent = [good[0], good[1], good[0], good[1]];
                    sent[place] = bad;
                    for count in place + 1..=4 {
                        is_refused(sender, &sent[..count], page, error).await;
                    }
                }
            }
            assert_eq!(user::call(sender, message(1, &[]), Never).await, Ok(message(2, &[])));
        });
        kernel.run_until_idle();
        assert_eq!(client.exit_reason(), WELL);
    }
}

/// Each combination of rights: with the right to grant, and none else needed, it goes as it is.
#[test]
fn rights_go_as_they_are_where_they_may_be_granted() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let notes: Notes<Rights> = Notes::default();
        let noted = notes.clone();
        kernel.spawn(&pair.server, 20, async move {
            let mut operation = Operation::receive(receiver, 1);
            loop {
                let (_, came) = operation.run(None).await.unwrap();
                noted.borrow_mut().push(held(came[0]).unwrap().1);
                user::close(came[0]).await.unwrap();
                operation = Operation::new(Syscall::ReplyReceive, receiver, &[], 1);
            }
        });
        let process = pair.client.clone();
        let client = kernel.spawn(&pair.client, 10, async move {
            let (endpoint, _) = endpoint(&process);
            for bits in 0..Rights::all().bits() + 1 {
                let rights = Rights::from_bits_truncate(bits);
                let slot = grant(&process, &endpoint, rights, 3);
                let call = Operation::new(Syscall::Call, sender, &[slot], 0).run(None).await;
                let came = notes.borrow_mut().pop();
                match rights.contains(Rights::GRANT) {
                    true => assert_eq!((call.is_ok(), came), (true, Some(rights))),
                    false => assert_eq!((call, came), (Err(Error::MissingRights), None)),
                }
                user::close(slot).await.unwrap();
                if bits > 64 && !short_cuts {
                    break;
                }
            }
        });
        kernel.run_until_idle();
        assert_eq!(client.exit_reason(), WELL);
    }
}

/// A capability beneath as many as can be, or beneath a revoke, can't be passed on.
#[test]
fn what_can_t_be_copied_can_t_be_passed_on() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        patient(&mut kernel, &pair, 4, true);
        let (sender, process) = (pair.sender, pair.client.clone());
        let client = kernel.spawn(&pair.client, 10, async move {
            let page = Some(page::own().await);
            let own = own_notifications(2);
            let (good, mut deep) = (own[1].1, own[0].1);
            let root = deep;
            for _ in 0..MAX_ANCESTORS {
                let all = (Rights::all(), 0);
                let (table, quota) = (&process.table, &process.quota);
                deep = transfer::copy(table, deep, all, table, quota).unwrap();
            }
            for sent in [&[deep][..], &[good, deep], &[good, good, deep, good]] {
                is_refused(sender, sent, page, Error::TooDeep).await;
            }
            let mut revoking = Revoking::begin(&process.table, root).unwrap();
            for sent in [&[root][..], &[good, root], &[good, good, root]] {
                is_refused(sender, sent, page, Error::Revoked).await;
            }
            while revoking.step().goes_on() {}
            revoking.end();
            assert_eq!(user::call(sender, message(1, &[]), Never).await, Ok(message(2, &[])));
        });
        kernel.run_until_idle();
        assert_eq!(client.exit_reason(), WELL);
    }
}

/// What was right when a sender came, and is not any more when it would be taken: it is told, and the receiver goes
/// on to the next.
#[test]
fn a_waiting_sender_is_told_of_what_has_gone_since() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let notes: Notes<Error> = Notes::default();
    let (process, noted) = (pair.client.clone(), notes.clone());
    let notification = Notification::new(&process.quota).unwrap();
    for call in [Syscall::Send, Syscall::Call].repeat(6) {
        let slot = grant(&process, &notification, Rights::GRANT, 0);
        let noted = noted.clone();
        kernel.spawn(&process, 20, async move {
            let sent = Operation::new(call, sender, &[slot], 0).run(None).await;
            noted.borrow_mut().push(sent.unwrap_err());
        });
        kernel.run_until_idle();
        process.close(slot).unwrap();
    }
    kernel.spawn(&pair.client, 10, async move {
        user::send(sender, message(1, &[]), Never).await.unwrap();
    });
    kernel.run_until_idle();
    let server = kernel.spawn(&pair.server, 10, async move {
        let (_, came) = Operation::receive(receiver, 1).run(None).await.unwrap();
        assert!(came.is_empty());
    });
    kernel.run_until_idle();
    assert_eq!(server.exit_reason(), WELL);
    assert_eq!(*notes.borrow(), [Error::StaleCapability; 12]);
}

/// The same capability twice is two.
#[test]
fn one_capability_can_go_twice() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let (receiver, sender) = (pair.receiver, pair.sender);
    let server = kernel.spawn(&pair.server, 20, async move {
        let page = page::own().await;
        let (_, came) = Operation::receive(receiver, 4).run(Some(page)).await.unwrap();
        let [a, b, c, d] = came[..] else { panic!("{came:?}") };
        assert!([b, c, d].iter().all(|other| *other != a) && b != c && c != d && b != d);
        user::close(a).await.unwrap();
        assert_eq!(held(b), held(d));
    });
    let client = kernel.spawn(&pair.client, 10, async move {
        let page = page::own().await;
        let own = own_notifications(1);
        let sent = [own[0].1; 4];
        Operation::new(Syscall::Send, sender, &sent, 0).run(Some(page)).await.unwrap();
    });
    kernel.run_until_idle();
    assert_eq!((server.exit_reason(), client.exit_reason()), (WELL, WELL));
}
