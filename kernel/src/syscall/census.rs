//! What runs, and who can reach what: processes, threads and capabilities, one by one, in steps.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, ObjectKind, Registers, Rights,
    arguments::NAME_BYTES,
    census::{self, Place, State},
};

use super::{
    lookup, waits,
    walk::{Steps, next_thread},
};
use crate::{
    capability::table::walk::Step,
    object::{AnyRef, identity},
    process::{Process, all},
    sched::{Completion, block, cpu_time},
    system::SystemObject,
    thread::{BlockReason, Current, Outcome, Tcb, state::ThreadState},
};

/// Whether the capability in control word 0 allows to look at the whole system.
fn may_look(current: &Current, registers: &Registers) -> Result<(), Error> {
    let slot = CapSlot::from_bits(registers.control[0]);
    lookup::<SystemObject>(current, slot, Rights::STATISTICS).map(drop)
}

/// Lets the kernel look in the caller's time, in steps, if that may look.
fn look(
    current: &Current,
    registers: &Registers,
    find: impl Future<Output = Outcome> + 'static,
) -> Completion {
    match may_look(current, registers) {
        Ok(()) => block(current, BlockReason::Working, find),
        Err(error) => Completion::Failed(error),
    }
}

/// What was found; zeroes where there was nothing.
fn told(found: Option<Registers>) -> Outcome {
    Outcome::Answer(Ok(found.unwrap_or_default()))
}

/// The next process behind the one in control word 1; the first one behind 0.
pub(super) fn processes(current: &Current, registers: &Registers) -> Completion {
    let behind = registers.control[1];
    look(current, registers, async move {
        if behind == 0 {
            cpu_time::settle().await;
        }
        let next = behind.checked_add(1).and_then(all::at_or_after);
        told(next.map(|process| describe_process(&process).encode()))
    })
}

fn describe_process(process: &Process) -> census::Process {
    let usage = process.quota.usage();
    let mut name = [0; NAME_BYTES];
    name[..process.name.len()].copy_from_slice(process.name.as_bytes());
    census::Process {
        id: process.id,
        parent: process.parent_number(),
        name,
        is_ending: process.is_ending(),
        threads: process.threads() as u64,
        frames: (usage.frames_used, usage.frames_limit),
        kernel_bytes: (usage.kernel_bytes_used, usage.kernel_bytes_limit),
        cpu_time: process.cpu_time(),
    }
}

/// The next thread behind the one in control words 1 and 2, its process's number and its own; the first one behind
/// zeroes.
pub(super) fn threads(current: &Current, registers: &Registers) -> Completion {
    let [_, process, thread, _] = registers.control;
    look(current, registers, async move {
        if (process, thread) == (0, 0) {
            cpu_time::settle().await;
        }
        let found = next_thread(process, thread, describe_thread).await;
        told(found.map(|thread| thread.encode()))
    })
}

fn describe_thread(process: &Process, thread: &Tcb) -> Option<census::Thread> {
    let state = match thread.state() {
        ThreadState::Ended => return None,
        ThreadState::Running => State::Running,
        ThreadState::Inactive => State::New,
        _ if thread.is_suspended() => State::Suspended,
        ThreadState::Woken | ThreadState::Preempted => State::Ready,
        ThreadState::Blocked => {
            let (kind, whom) = waits::reason(thread);
            State::Blocked(kind, whom)
        }
    };
    Some(census::Thread {
        id: thread.id.0,
        process: process.id,
        state,
        priority: thread.wanted_priority(),
        effective_priority: thread.priority(),
        cpu: thread.home() as u64,
        affinity: thread.affinity(),
        cpu_time: thread.cpu_time(),
    })
}

/// The first capability of the process in control word 1 whose slot has at least the index in word 2.
pub(super) fn capabilities(current: &Current, registers: &Registers) -> Completion {
    let [_, process, index, _] = registers.control;
    look(current, registers, async move {
        let found = all::at_or_after(process).filter(|found| found.id == process);
        let (Some(process), Ok(mut from)) = (found, u32::try_from(index)) else {
            return told(None);
        };
        let mut steps = Steps::new();
        loop {
            match first_in_leaf(&process, from) {
                Ok(found) => return told(found.map(|capability| capability.encode())),
                Err(next) => from = next,
            }
            steps.pause().await;
        }
    })
}

/// The first capability at this index or behind, in the same part of the table; an error is where to go on.
fn first_in_leaf(process: &Process, from: u32) -> Result<Option<census::Capability>, u32> {
    let entries = process.table.lock();
    let (slot, held) = match entries.look_from(from) {
        Step::Found(slot, held) => (slot, held),
        Step::Until(next) => return Err(next),
        Step::End => return Ok(None),
    };
    let source = entries.source_of(held);
    let kind = held.object().header().kind();
    Ok(kind.map(|kind| census::Capability {
        slot,
        kind,
        identity: identity_of(held.object()),
        rights: held.rights(),
        badge: held.badge(),
        parent: source.map(|source| Place { process: source.process, index: source.index }),
    }))
}

/// By which number an object is told apart from others of its kind.
pub(super) fn identity_of(object: &AnyRef) -> u64 {
    match object.header().kind() {
        Some(ObjectKind::Process) => object.get::<Process>().map_or(0, |process| process.id),
        Some(ObjectKind::Thread) => object.get::<Tcb>().map_or(0, |thread| thread.id.0),
        _ => identity(object),
    }
}
