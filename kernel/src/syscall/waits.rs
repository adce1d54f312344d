//! Who waits for whom, and since when: the threads of all processes one by one, in steps.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Registers, Rights,
    waits::{Wait, WaitKind},
};

use super::{lookup, walk::next_thread};
use crate::{
    ipc::binding,
    process::Process,
    sched::{Completion, block},
    system::SystemObject,
    thread::{BlockReason, Current, Outcome, Tcb, state::ThreadState},
};

/// The next thread that waits behind the one in control words 1 and 2, its process's number and its own; the first
/// one behind zeroes.
pub(super) fn next(current: &Current, registers: &Registers) -> Completion {
    let [slot, process, thread, _] = registers.control;
    if let Err(error) =
        lookup::<SystemObject>(current, CapSlot::from_bits(slot), Rights::STATISTICS)
    {
        return Completion::Failed(error);
    }
    block(current, BlockReason::Working, async move {
        let found = next_thread(process, thread, describe).await;
        Outcome::Answer(Ok(found.map(|wait| wait.encode()).unwrap_or_default()))
    })
}

/// What a thread waits for, if it does.
fn describe(process: &Process, thread: &Tcb) -> Option<Wait> {
    if thread.state() != ThreadState::Blocked {
        return None;
    }
    let since = thread.blocked_since();
    let (kind, whom) = reason(thread);
    Some(Wait { thread: thread.id.0, process: process.id, kind, whom, since })
}

/// For what a thread that is blocked waits, and for whom.
pub(super) fn reason(thread: &Tcb) -> (WaitKind, u64) {
    match thread.block_reason() {
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
    }
}

/// Who has to answer a thread's call, or is alone to take it.
fn answerer(thread: &Tcb) -> u64 {
    binding::waits_for(thread).map_or(0, |thread| thread.0)
}
