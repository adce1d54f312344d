//! Who waits for whom, and since when: the threads of all processes one by one, in steps.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Registers, Rights,
    waits::{Wait, WaitKind},
};
use orbital_executor::yield_now;

use super::lookup;
use crate::{
    ipc::binding,
    object::AnyRef,
    process::{Process, all},
    sched::{Completion, block},
    system::SystemObject,
    thread::{BlockReason, Current, Outcome, Tcb, state::ThreadState},
};

/// How many threads and processes one step looks at.
const STEP: usize = 32;

/// The next thread that waits behind the one in control words 1 and 2, its process's number and its own; the first
/// one behind zeroes.
pub(super) fn next(current: &Current, registers: &Registers) -> Completion {
    let [slot, process, thread, _] = registers.control;
    if let Err(error) =
        lookup::<SystemObject>(current, CapSlot::from_bits(slot), Rights::STATISTICS)
    {
        return Completion::Done(Err(error));
    }
    block(current, BlockReason::Working, async move {
        let found = find(process, thread).await;
        Outcome::Answer(Ok(found.map(|wait| wait.encode()).unwrap_or_default()))
    })
}

async fn find(process: u64, thread: u64) -> Option<Wait> {
    let (mut from, mut behind) = (process, thread);
    let mut steps = 0;
    loop {
        let process = all::at_or_after(from)?;
        if process.id != from {
            behind = 0;
        }
        // A walk that others have disturbed begins anew, and passes over those that were told.
        let (mut last, mut is_told) = (behind, false);
        while let Some((object, is_anew)) = process.next_of_walk(last, number) {
            last = number(&object);
            is_told = (is_told || is_anew) && last <= behind;
            if !is_told {
                behind = last;
                if let Ok(thread) = object.get::<Tcb>()
                    && let Some(wait) = describe(&process, thread)
                {
                    return Some(wait);
                }
            }
            pause(&mut steps).await;
        }
        (from, behind) = (process.id.checked_add(1)?, 0);
        pause(&mut steps).await;
    }
}

async fn pause(steps: &mut usize) {
    *steps += 1;
    if (*steps).is_multiple_of(STEP) {
        yield_now().await;
    }
}

fn number(thread: &AnyRef) -> u64 {
    thread.get::<Tcb>().map_or(0, |thread| thread.id.0)
}

/// What a thread waits for, if it does.
fn describe(process: &Process, thread: &Tcb) -> Option<Wait> {
    if thread.state() != ThreadState::Blocked {
        return None;
    }
    let since = thread.blocked_since();
    let (kind, whom) = match thread.block_reason() {
        BlockReason::Sending => (WaitKind::Send, 0),
        BlockReason::Receiving => (WaitKind::Receive, 0),
        BlockReason::WaitingReply { .. } => (WaitKind::Reply, answerer(thread)),
        BlockReason::WaitingSignal => (WaitKind::Signal, 0),
        BlockReason::WaitingHandler => (WaitKind::Handler, answerer(thread)),
        BlockReason::WaitingThread(other) => (WaitKind::Thread, other.0),
        BlockReason::WaitingProcess(other) => (WaitKind::Process, other),
        BlockReason::Asking(other) => (WaitKind::Asking, other.0),
        BlockReason::Sleeping => (WaitKind::Sleep, 0),
        BlockReason::Working => (WaitKind::Work, 0),
    };
    Some(Wait { thread: thread.id.0, process: process.id, kind, whom, since })
}

/// Who has to answer a thread's call, or is alone to take it.
fn answerer(thread: &Tcb) -> u64 {
    binding::waits_for(thread).map_or(0, |thread| thread.0)
}
