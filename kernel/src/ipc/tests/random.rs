//! Many threads that send, call, receive, are interrupted anywhere and are killed: what is
//! delivered was sent, once, and in order; and everybody comes to an end.
#![forbid(unsafe_code)]

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use orbital_abi::{Deadline::Never, Error, ExitReason};
use proptest::prelude::*;

use super::{Kernel, Notes, message, pair, user};

#[derive(Clone, Copy, Debug)]
enum Deed {
    Send,
    Call,
    Work,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![Just(Deed::Send), Just(Deed::Call), Just(Deed::Work)];
    prop::collection::vec(deed, 0..6)
}

/// A sequence that looks random and is the same every time (Knuth's MMIX constants).
fn random(seed: u64) -> impl FnMut(u64) -> u64 {
    let state = Cell::new(seed);
    move |below| {
        let next = state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.set(next.wrapping_add(1_442_695_040_888_963_406));
        (state.get() >> 33) % below
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_message_arrives_once_and_in_its_senders_order(
        clients in prop::collection::vec((1..4_u8, deeds()), 1..6),
        servers in prop::collection::vec(1..4_u8, 1..3),
        seed in any::<u64>(),
        kills in prop::collection::vec((0..6_usize, 0..60_u64), 0..3),
    ) {
        let mut kernel = Kernel::boot();
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let received: Notes<(u64, u64)> = Notes::default();
        let sent: Notes<(u64, u64)> = Notes::default();
        for priority in servers {
            let received = received.clone();
            kernel.spawn(&pair.server, priority, async move {
                loop {
                    let Ok(got) = user::receive(receiver, Never).await else { return };
                    let [client, number] = got.message.words() else { panic!("{got:?}") };
                    received.borrow_mut().push((*client, *number));
                    if got.is_call {
                        let answered = user::reply(got.message).await;
                        assert!(matches!(answered, Ok(()) | Err(Error::PeerGone)), "{answered:?}");
                    }
                }
            });
        }
        let mut threads = Vec::new();
        for (client, (priority, deeds)) in clients.into_iter().enumerate() {
            let sent = sent.clone();
            let client = client as u64;
            threads.push(kernel.spawn(&pair.client, priority, async move {
                for (number, deed) in deeds.into_iter().enumerate() {
                    let what = message(1, &[client, number as u64]);
                    match deed {
                        Deed::Send => user::send(sender, what, Never).await.unwrap(),
                        Deed::Call => {
                            let answer = user::call(sender, what, Never).await;
                            assert_eq!(answer, Ok(what));
                        }
                        Deed::Work => {
                            user::work(400_000).await;
                            continue;
                        }
                    }
                    sent.borrow_mut().push((client, number as u64));
                }
            }));
        }
        let mut next = random(seed);
        let victims: Vec<_> = threads.clone();
        let turns = Rc::new(Cell::new(0));
        kernel.preempt = Some(Box::new(move || {
            turns.set(turns.get() + 1);
            for (victim, turn) in &kills {
                if *turn == turns.get() && let Some(victim) = victims.get(*victim) {
                    victim.kill();
                }
            }
            next(4) == 0
        }));
        kernel.run_until_idle();
        kernel.preempt = None;
        for thread in &threads {
            let reason = thread.exit_reason();
            let ended = matches!(reason, Some(ExitReason::Exited(0) | ExitReason::Killed));
            prop_assert!(ended, "{reason:?}");
        }
        let received = received.borrow();
        let mut by_client: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (client, number) in received.iter() {
            by_client.entry(*client).or_default().push(*number);
        }
        // Servers may be interrupted between receiving and noting, so the order is sure only for
        // one server; that none comes twice is sure for all.
        for numbers in by_client.values_mut() {
            let before = numbers.len();
            numbers.sort();
            numbers.dedup();
            prop_assert_eq!(before, numbers.len(), "twice");
        }
        for (client, number) in sent.borrow().iter() {
            prop_assert!(received.contains(&(*client, *number)), "lost: {client} {number}");
        }
    }
}
