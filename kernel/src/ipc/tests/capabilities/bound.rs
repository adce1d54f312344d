//! Capabilities, and messages without room, at a thread to which an endpoint and a notification are bound.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot,
    Deadline::{At, Never},
    Error, Rights, Syscall, Tag,
    message::IS_SIGNAL,
};

use super::{
    super::{BADGE, Kernel, Notes, Pair, differential::ShortCuts, grant, message, pair, user},
    Operation, WELL, held, is_refused, own_notifications,
};
use crate::{
    arch::host::clock,
    ipc::{Endpoint, Notification, binding},
    object::Ref,
    tests::{kernel::notification, page},
    thread::{Tcb, state::ThreadState},
};

type Event = Result<([u64; 3], Vec<CapSlot>), Error>;

/// A thread of the server's that receives so often, once it is started.
struct Scene {
    pair: Pair,
    word: Ref<Notification>,
    thread: Ref<Tcb>,
    events: Notes<Event>,
}

fn scene(kernel: &mut Kernel, accepts: usize, has_page: bool, times: usize) -> Scene {
    let pair = pair(kernel);
    let (word, _) = notification(&pair.server);
    let (receiver, events) = (pair.receiver, Notes::<Event>::default());
    let noted = events.clone();
    let thread = kernel.thread(&pair.server, 20, async move {
        let page = if has_page { Some(page::own().await) } else { None };
        for turn in 0..times {
            let deadline = if turn < 2 { Never } else { At(clock::nanoseconds() + 1_000_000) };
            let receive = Operation { deadline, ..Operation::receive(receiver, accepts) };
            let event = receive.run(page).await;
            noted.borrow_mut().push(event);
        }
        0
    });
    let endpoint = pair.server.capability(receiver).unwrap();
    let endpoint: Ref<Endpoint> = endpoint.object(Rights::RECEIVE).unwrap();
    binding::bind_endpoint(&endpoint, Some(&thread), None).unwrap();
    binding::bind_notification(&word, Some(&thread), None).unwrap();
    Scene { pair, word, thread, events }
}

fn signals(bits: u64) -> Event {
    Ok(([bits, 0, IS_SIGNAL], vec![]))
}

/// A message brings some, then a signal comes: each is a receive of its own.
#[test]
fn capabilities_and_signals_come_in_turn() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let Scene { pair, word, thread, events } = scene(&mut kernel, 4, true, 8);
        thread.start().unwrap();
        let (sender, noted) = (pair.sender, events.clone());
        let client = kernel.spawn(&pair.client, 10, async move {
            let page = Some(page::own().await);
            let own = own_notifications(4);
            let slots: Vec<_> = own.iter().map(|(_, slot)| *slot).collect();
            for count in 1..=4 {
                let send = Operation::new(Syscall::Send, sender, &slots[..count], 0);
                send.run(page).await.unwrap();
                word.signal(1 << count).unwrap();
                user::give_way().await;
                let tag = Tag::default().with_capabilities(count, 0).unwrap();
                let events = core::mem::take(&mut *noted.borrow_mut());
                let [Ok((control, came)), signalled] = &events[..] else { panic!("{events:?}") };
                assert_eq!((*control, came.len()), ([BADGE, tag.bits(), 0], count));
                assert_eq!(*signalled, signals(1 << count));
            }
        });
        kernel.run_until_idle();
        assert_eq!((client.exit_reason(), thread.exit_reason()), (WELL, WELL));
        assert!(events.borrow().is_empty());
    }
}

/// What it has no room for does not end its wait, in which a signal finds it still.
#[test]
fn without_room_it_waits_on_for_signals() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let Scene { pair, word, thread, events } = scene(&mut kernel, 1, false, 3);
        thread.start().unwrap();
        kernel.run_until_idle();
        let sender = pair.sender;
        let client = kernel.spawn(&pair.client, 10, async move {
            let page = Some(page::own().await);
            let own = own_notifications(2);
            let both = [own[0].1, own[1].1];
            for bits in [1, 2] {
                is_refused(sender, &both, page, Error::NoRoom).await;
                for call in [Syscall::Send, Syscall::Call] {
                    let long = Operation { words: 9, ..Operation::new(call, sender, &[], 0) };
                    assert_eq!(long.run(page).await, Err(Error::NoRoom));
                }
                word.signal(bits).unwrap();
                user::give_way().await;
            }
            let send = Operation::new(Syscall::Send, sender, &both[..1], 0);
            send.run(page).await.unwrap();
        });
        kernel.run_until_idle();
        assert_eq!((client.exit_reason(), thread.exit_reason()), (WELL, WELL));
        assert_eq!(events.borrow()[..2], [signals(1), signals(2)]);
        assert_eq!(events.borrow()[2].as_ref().map(|(_, came)| came.len()), Ok(1));
    }
}

/// Senders and callers wait, with what was derived from one that is revoked meanwhile: they are told, and the
/// receiver gets what there is beside.
#[test]
fn what_is_revoked_while_it_is_queued_does_not_come() {
    for (short_cuts, refused) in [(true, 2), (false, 2), (true, 20), (false, 20)] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let Scene { pair, word, thread, events } = scene(&mut kernel, 1, false, 2);
        let (sender, told) = (pair.sender, Notes::<Error>::default());
        let notification = Notification::new(&pair.client.quota).unwrap();
        let root = grant(&pair.client, &notification, Rights::all(), 0);
        let mut callers = Vec::new();
        for call in [Syscall::Send, Syscall::Call].into_iter().cycle().take(refused) {
            let told = told.clone();
            callers.push(kernel.spawn(&pair.client, 20, async move {
                let slot = user::copy(root, CapSlot::NULL, Rights::all(), 0).await.unwrap();
                let sent = Operation::new(call, sender, &[slot], 0).run(None).await;
                told.borrow_mut().push(sent.unwrap_err());
            }));
        }
        kernel.run_until_idle();
        assert!(callers.iter().all(|caller| caller.state() == ThreadState::Blocked));
        kernel.spawn(&pair.client, 10, async move {
            user::revoke(root).await.unwrap();
            user::send(sender, message(1, &[]), Never).await.unwrap();
        });
        kernel.run_until_idle();
        assert!(told.borrow().is_empty(), "they wait by the endpoint's capability");
        thread.start().unwrap();
        kernel.run_until_idle();
        assert_eq!(*told.borrow(), vec![Error::StaleCapability; refused]);
        assert!(callers.iter().all(|caller| !caller.is_queued_at_bound()));
        assert_eq!(*events.borrow(), [Ok(([BADGE, 1, 0], vec![]))]);
        word.signal(3).unwrap();
        kernel.run_until_idle();
        assert_eq!(events.borrow()[1..], [signals(3)]);
        assert_eq!(thread.exit_reason(), WELL);
    }
}

/// A call that would close a cycle is refused with what it brings, and what it brings stays where it is.
#[test]
fn a_refused_cycle_takes_nothing() {
    let mut kernel = Kernel::boot();
    let pair = pair(&kernel);
    let endpoint = pair.server.capability(pair.receiver).unwrap();
    let endpoint: Ref<Endpoint> = endpoint.object(Rights::RECEIVE).unwrap();
    let own = grant(&pair.server, &endpoint, Rights::SEND, 0);
    let thread = kernel.thread(&pair.server, 20, async move {
        let [(_, slot)] = own_notifications(1)[..] else { unreachable!() };
        let before = held(slot);
        let sent = [slot];
        let call = Operation::new(Syscall::Call, own, &sent, 4);
        assert_eq!(call.run(None).await, Err(Error::WouldDeadlock));
        assert_eq!(held(slot), before);
        assert_eq!(user::close(slot).await, Ok(()));
        0
    });
    binding::bind_endpoint(&endpoint, Some(&thread), None).unwrap();
    thread.start().unwrap();
    kernel.run_until_idle();
    assert_eq!(thread.exit_reason(), WELL);
    assert!(!thread.is_queued_at_bound());
}
