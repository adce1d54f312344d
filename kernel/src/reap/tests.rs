//! What is left to a reaper while it is at work on something else.
#![forbid(unsafe_code)]

use std::{cell::Cell, rc::Rc};

use orbital_abi::{CapSlot, Deadline::Never, Error, Rights};

use crate::{
    capability::{revoke::Revoking, transfer},
    object::Ref,
    process::Process,
    tests::{
        kernel::{Kernel, endpoint},
        user,
    },
};

/// Children of the first: more than leave in a step. Of the second: more than in all steps of a turn of the reaper's.
const COUNTS: [usize; 2] = [40, 400];
/// How long a thread runs while a task that is as urgent has to wait, in nanoseconds.
const TURN: u64 = 100_000;

fn copy(process: &Ref<Process>, slot: CapSlot) -> Result<CapSlot, Error> {
    let table = &process.table;
    transfer::copy(table, slot, (Rights::all(), 0), table, &process.quota)
}

/// A process with two capabilities, one behind the other, from each of which many were derived.
fn two(kernel: &Kernel) -> (Ref<Process>, [CapSlot; 2]) {
    let process = kernel.process("p");
    let slots = [endpoint(&process).1, endpoint(&process).1];
    assert!(slots[0].index() < slots[1].index());
    for (slot, count) in slots.into_iter().zip(COUNTS) {
        for _ in 0..count {
            copy(&process, slot).unwrap();
        }
    }
    (process, slots)
}

/// Closes the second one, then after so many turns does `deed`. Whether that came while the reaper was at work.
fn amid(
    kernel: &mut Kernel,
    process: &Ref<Process>,
    second: CapSlot,
    turns: u32,
    deed: impl Future<Output = ()> + 'static,
) -> bool {
    let (_, idle) = endpoint(process);
    let (own, was_at_work) = (process.clone(), Rc::new(Cell::new(false)));
    let told = was_at_work.clone();
    kernel.spawn(process, 7, async move {
        user::close(second).await.unwrap();
        user::work(u64::from(turns) * TURN).await;
        told.set(own.table.lock().unfinished() > 0);
        deed.await;
        // The process lives on.
        user::receive(idle, Never).await.unwrap();
    });
    kernel.run_until_idle();
    was_at_work.get()
}

/// Both come out in some of the turns: the reaper was at work, and it had been.
fn both(run: impl Fn(u32) -> bool) {
    let at_work: Vec<_> = (0..10).map(run).collect();
    assert!(at_work.contains(&true) && at_work.contains(&false), "{at_work:?}");
}

#[test]
fn an_entry_before_the_one_in_hand_leaves_too() {
    both(|turns| {
        let mut kernel = Kernel::boot();
        let (process, [first, second]) = two(&kernel);
        let close = async move { user::close(first).await.unwrap() };
        let was_at_work = amid(&mut kernel, &process, second, turns, close);
        assert_eq!(process.table.lock().unfinished(), 0, "after {turns} turns");
        was_at_work
    });
}

#[test]
fn an_abandoned_revoke_before_the_entry_in_hand_is_finished_too() {
    both(|turns| {
        let mut kernel = Kernel::boot();
        let (process, [first, second]) = two(&kernel);
        let own = process.clone();
        // As when its thread is killed.
        let abandon = async move {
            drop(Revoking::begin(&own.table, first).unwrap());
            own.reap_at(7);
        };
        let was_at_work = amid(&mut kernel, &process, second, turns, abandon);
        assert_eq!(process.table.lock().unfinished(), 0, "after {turns} turns");
        assert!(copy(&process, first).is_ok(), "its mark is still there after {turns} turns");
        was_at_work
    });
}
