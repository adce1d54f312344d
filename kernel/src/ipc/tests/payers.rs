//! Who pays for what servers run by the priority of a caller with a budget: by who runs before whom. All on one CPU;
//! `tests/smp` has others.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Deadline::Never, Rights, Syscall};

use super::{
    grant,
    lending::{Deed, HALF, HIGH, LONG, LOW, MIDDLE, Scene, WORK, both, chain, scene},
    user, words,
};
use crate::{
    arch::host::clock,
    object::Ref,
    tests::kernel::endpoint,
    thread::{
        Tcb,
        budget::{Budget, Share, Wanted},
    },
};

/// Nanoseconds.
const MS: u64 = 1_000_000;

fn budget(scene: &Scene, budget: u64, period: u64) -> Wanted {
    let share = Share::new(budget, period).unwrap();
    Some(Budget::new(share, clock::nanoseconds(), &scene.process.quota).unwrap())
}

/// A thread that calls, and then notes it. Not started.
fn caller(scene: &mut Scene, priority: u8, slot: CapSlot) -> Ref<Tcb> {
    let noted = scene.notes.clone();
    scene.kernel.thread(&scene.process, priority, async move {
        user::call(slot, words(), Never).await.unwrap();
        noted.borrow_mut().push("answered");
        0
    })
}

/// The same, with a budget.
fn limited(scene: &mut Scene, slot: CapSlot, of_each: (u64, u64)) -> Ref<Tcb> {
    let thread = caller(scene, HIGH, slot);
    thread.ask_budget(budget(scene, of_each.0, of_each.1));
    thread.start().unwrap();
    thread
}

/// What is left of its budget, in milliseconds.
fn left(thread: &Tcb) -> u64 {
    thread.account().unwrap().with(|account| account.left()) / MS
}

/// Notes that whoever is in the middle has worked for that long, from when it runs first.
fn spinner(scene: &mut Scene, nanoseconds: u64) {
    let noted = scene.notes.clone();
    scene.kernel.spawn(&scene.process, MIDDLE, async move {
        user::work(nanoseconds).await;
        noted.borrow_mut().push("spun");
    });
}

#[test]
fn a_caller_with_a_budget_lends() {
    both(|short_cuts| {
        let mut scene = scene(Deed::Answer, short_cuts);
        let slot = scene.slot;
        limited(&mut scene, slot, (2 * WORK, LONG));
        scene.kernel.run_until_idle();
        assert_eq!(scene.notes.take(), ["worked", "answered", "middle", "went on"]);
    });
}

#[test]
fn a_server_whose_caller_has_used_its_budget_up_is_as_urgent_as_by_itself() {
    both(|short_cuts| {
        let mut scene = scene(Deed::Answer, short_cuts);
        let slot = scene.slot;
        limited(&mut scene, slot, (HALF, LONG));
        scene.kernel.run_until_idle();
        let expected = ["middle", "worked", "went on", "answered"];
        assert_eq!(scene.notes.take(), expected, "the caller waits for its next period");
    });
}

/// Half of the work in the first period, before the spinner; half in the next one, in the middle of its.
#[test]
fn a_caller_lends_again_in_its_next_period() {
    both(|short_cuts| {
        let mut scene = scene(Deed::Answer, short_cuts);
        let slot = scene.slot;
        limited(&mut scene, slot, (HALF + HALF / 2, 2 * WORK));
        spinner(&mut scene, 5 * WORK);
        scene.kernel.run_until_idle();
        let order = scene.notes.take();
        assert_eq!(order, ["middle", "worked", "answered", "spun", "went on"]);
    });
}

/// Through a chain of servers, the last of which works: the first one's caller pays.
#[test]
fn whoever_is_at_the_beginning_of_a_chain_pays() {
    for (length, of_each, expected) in [
        (3, (HALF, LONG), ["middle", "worked", "went on", "answered"]),
        (3, (2 * WORK, LONG), ["worked", "answered", "middle", "went on"]),
        (40, (HALF, LONG), ["middle", "worked", "went on", "answered"]),
    ] {
        both(|short_cuts| {
            let mut chain = chain(length, short_cuts);
            let slot = chain.scene.slot;
            limited(&mut chain.scene, slot, of_each);
            chain.scene.kernel.run_until_idle();
            assert_eq!(chain.scene.notes.take(), expected, "{length} {of_each:?}");
        });
    }
}

/// A server that is as urgent by itself works for itself.
#[test]
fn who_is_as_urgent_by_itself_is_paid_by_nobody() {
    both(|short_cuts| {
        let mut scene = scene(Deed::Keep, short_cuts);
        let slot = scene.slot;
        let thread = caller(&mut scene, LOW, slot);
        thread.ask_budget(budget(&scene, HALF, LONG));
        thread.start().unwrap();
        scene.kernel.run_until_idle();
        assert_eq!(scene.notes.take(), ["middle", "worked", "went on"], "the reply is kept");
        assert_eq!(left(&thread), HALF / MS);
    });
}

/// With its answer the caller pays no more: its server goes on at its own cost.
#[test]
fn with_the_answer_it_is_over() {
    both(|short_cuts| {
        let mut scene = scene(Deed::Keep, short_cuts);
        let slot = scene.slot;
        let thread = limited(&mut scene, slot, (2 * WORK, LONG));
        scene.kernel.run_until_idle();
        assert_eq!(scene.notes.take(), ["worked", "middle", "went on"], "the reply is kept");
        assert_eq!(left(&thread), WORK / MS, "what was run until then");
    });
}

/// A budget that is given or taken away in the middle counts from there on.
#[test]
fn a_budget_comes_and_goes_while_the_server_works() {
    for (gives, expected) in [
        (true, ["middle", "worked", "went on", "answered"]),
        (false, ["worked", "answered", "middle", "went on"]),
    ] {
        both(|short_cuts| {
            let mut scene = scene(Deed::Answer, short_cuts);
            let slot = scene.slot;
            let thread = caller(&mut scene, HIGH, slot);
            let (first, second) = match gives {
                true => (None, budget(&scene, HALF / 2, LONG)),
                false => (budget(&scene, HALF, LONG), None),
            };
            thread.ask_budget(first);
            thread.start().unwrap();
            let asked = thread.clone();
            let mut second = Some(second);
            let at = clock::nanoseconds() + HALF / 2;
            scene.kernel.spawn(&scene.process, HIGH + 1, async move {
                let _ = user::control(Syscall::ThreadSleep, [at, 0, 0, 0]).await;
                asked.ask_budget(second.take().unwrap());
            });
            scene.kernel.run_until_idle();
            assert_eq!(scene.notes.take(), expected, "{gives}");
        });
    }
}

/// What a server does after it was answered itself, by a direct switch from one that works for itself, is charged to its
/// caller as well.
#[test]
fn a_server_that_is_answered_is_paid_for_again() {
    both(|short_cuts| {
        let mut scene = scene(Deed::Answer, short_cuts);
        let (end, own) = endpoint(&scene.process);
        let (_, other) = endpoint(&scene.process);
        scene.kernel.spawn(&scene.process, HIGH, async move {
            user::receive(other, Never).await.unwrap();
            let _ = user::reply_receive(other, words(), Never).await;
        });
        let notes = scene.notes.clone();
        let noted = notes.clone();
        let middle = scene.kernel.thread(&scene.process, MIDDLE, async move {
            noted.borrow_mut().push("middle");
            0
        });
        scene.kernel.spawn(&scene.process, LOW, async move {
            user::receive(own, Never).await.unwrap();
            user::call(other, words(), Never).await.unwrap();
            middle.start().unwrap();
            user::work(WORK).await;
            notes.borrow_mut().push("worked");
            user::reply(words()).await.unwrap();
        });
        scene.kernel.run_until_idle();
        let slot = grant(&scene.process, &end, Rights::SEND, 0);
        limited(&mut scene, slot, (HALF, LONG));
        scene.kernel.run_until_idle();
        assert_eq!(scene.notes.take(), ["middle", "worked", "answered"]);
    });
}
