//! The fast path held against the general one: random programs run twice from the same seed, with the short cuts
//! and without.
#![forbid(unsafe_code)]

mod equals;
mod plan;
mod world;

use std::{cell::Cell, rc::Rc};

use orbital_abi::{Deadline::Never, Rights, Syscall};
use plan::Plan;
pub(super) use world::ShortCuts;

use super::{Kernel, Notes, grant, message, pair, user};
use crate::{
    sched::direct,
    tests::{
        cpus::Random,
        seeds::{scaled, with_seeds},
    },
};

/// The rest of a slice goes along with a call and its answer, either way.
#[test]
fn a_call_and_its_answer_go_before_equal_threads() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let notes = Notes::default();
        let (asked, answered, other) = (notes.clone(), notes.clone(), notes.clone());
        kernel.spawn(&pair.server, 10, async move {
            let mut request = user::receive(receiver, Never).await.unwrap();
            loop {
                asked.borrow_mut().push("asked");
                request = user::reply_receive(receiver, request.message, Never).await.unwrap();
            }
        });
        kernel.run_until_idle();
        kernel.spawn(&pair.client, 10, async move {
            for _ in 0..2 {
                user::call(sender, message(1, &[]), Never).await.unwrap();
                answered.borrow_mut().push("answered");
                assert_eq!(direct::is_possible(), short_cuts, "they are what is allowed");
            }
        });
        kernel.spawn(&pair.client, 10, async move { other.borrow_mut().push("other") });
        kernel.run_until_idle();
        let expected = ["asked", "answered", "asked", "answered", "other"];
        assert_eq!(*notes.borrow(), expected, "short cuts: {short_cuts}");
    }
}

/// What a server has begun is done at its priority, not at that of the client whose call it has taken.
#[test]
fn what_a_server_leaves_to_be_done_does_not_wait_for_it() {
    for short_cuts in [true, false] {
        let mut kernel = Kernel::boot();
        let _short_cuts = ShortCuts::set(short_cuts);
        let pair = pair(&kernel);
        let (receiver, sender) = (pair.receiver, pair.sender);
        let process = kernel.process("victim");
        let victim = grant(&pair.server, &process, Rights::MANAGE, 0);
        let ended = Rc::new(Cell::new(false));
        let (notes, has_ended) = (ended.clone(), process.clone());
        kernel.spawn(&pair.server, 20, async move {
            user::receive(receiver, Never).await.unwrap();
            user::control(Syscall::ProcessKill, [victim.bits(), 0, 0, 0]).await.unwrap();
            user::work(50_000_000).await;
            notes.set(has_ended.exit_reason().is_some());
            user::reply(message(1, &[])).await.unwrap();
        });
        kernel.run_until_idle();
        let client = kernel.spawn(&pair.client, 10, async move {
            user::call(sender, message(1, &[]), Never).await.unwrap();
        });
        kernel.run_until_idle();
        assert!(ended.get() && client.exit_reason().is_some(), "short cuts: {short_cuts}");
    }
}

/// No two threads have the same priority of their own, ever: so who runs is decided at each moment, and the two runs have to
/// agree in everything, in the order of events over all threads and in their times too.
#[test]
fn with_and_without_short_cuts_programs_see_the_same() {
    with_seeds(scaled(100_000), |seed| agree(&Plan::random(&Random::new(seed))));
}

/// Whom a signal wakes waits for its turn, with and without short cuts: so among equals too there is one order of all
/// that happens.
#[test]
fn with_and_without_short_cuts_signals_let_equals_run_in_the_same_order() {
    with_seeds(scaled(100_000), |seed| agree(&Plan::of_signals(&Random::new(seed))));
}

fn agree(plan: &Plan) {
    let [quick, general] = [true, false].map(|short_cuts| world::run(plan, short_cuts));
    let differs = quick.events.iter().zip(&general.events).position(|(a, b)| a != b);
    let common = differs.unwrap_or(quick.events.len().min(general.events.len()));
    assert_eq!(
        quick.events.get(common..),
        general.events.get(common..),
        "from event {common} on; {plan:#?}"
    );
    assert_eq!(quick.left, general.left, "{plan:#?}");
    assert_eq!(quick.counts, general.counts, "{plan:#?}");
}

/// Equal threads take turns, and a direct switch does not wait for its turn: compared is what no order decides.
#[test]
fn equal_threads_are_told_the_same_with_and_without_short_cuts() {
    with_seeds(scaled(50_000), |seed| {
        let random = Random::new(seed);
        let plan = equals::Plan::random(&random);
        let run =
            |short_cuts| equals::run(&plan, short_cuts, Random::new(random.below(1 << 30) as u64));
        assert_eq!(run(true), run(false), "{plan:#?}");
    });
}
