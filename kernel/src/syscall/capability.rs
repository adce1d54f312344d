//! Capabilities.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Error, ExitReason, Registers, Rights, arguments::CapabilityCopy,
    message::REGISTER_WORDS, trace::EventKind,
};
use orbital_executor::yield_now;

use super::{Answer, census::identity_of, value};
use crate::{
    capability::{
        revoke::{Begun, Revoking},
        table::Closed,
        transfer,
    },
    cause,
    ipc::Endpoint,
    object::Ref,
    process::Process,
    revoke,
    sched::{Completion, block},
    thread::{BlockReason, Current, Outcome},
    trace,
};

/// The process into whose table the capability in `source` is to be put, unless that is one's own. What is wrong
/// with the source is told first.
fn other_process(
    own: &Process,
    source: CapSlot,
    process: CapSlot,
) -> Result<Option<Ref<Process>>, Error> {
    if process.is_null() {
        return Ok(None);
    }
    own.capability(source)?;
    own.capability(process)?.object(Rights::MANAGE).map(Some)
}

#[inline(always)]
pub(super) fn copy(current: &Current, registers: &Registers) -> Completion {
    match copied(current, registers) {
        Ok(slot) => Completion::answered(current, &value(slot.bits())),
        Err(error) => Completion::Failed(error),
    }
}

#[inline(always)]
fn copied(current: &Current, registers: &Registers) -> Result<CapSlot, Error> {
    let CapabilityCopy { source, process, rights, badge } = CapabilityCopy::decode(registers)?;
    let (own, other) = (&current.process, other_process(&current.process, source, process)?);
    let to = other.as_ref().unwrap_or(own);
    transfer::copy(&own.table, source, (rights, badge), &to.table, &to.quota)
}

pub(super) fn relocate(current: &Current, registers: &Registers) -> Completion {
    let [source, process, ..] = registers.control.map(CapSlot::from_bits);
    let own = current.process.clone();
    match relocate_in(&own, source, process).transpose() {
        Some(answer) => Completion::of(current, answer),
        None => block(current, BlockReason::Working, async move {
            loop {
                yield_now().await;
                if let Some(answer) = relocate_in(&own, source, process).transpose() {
                    return Outcome::Answer(answer);
                }
            }
        }),
    }
}

/// `None` when a step of an earlier move was done instead.
fn relocate_in(
    own: &Ref<Process>,
    source: CapSlot,
    process: CapSlot,
) -> Result<Option<Registers>, Error> {
    let other = other_process(own, source, process)?;
    let to = other.as_ref().unwrap_or(own);
    let Some(moved) = transfer::relocate(&own.table, source, &to.table, &to.quota)? else {
        return Ok(None);
    };
    own.left(&moved.left);
    drop_left(moved.left);
    Ok(Some(value(moved.slot.bits())))
}

/// Drops what has left a slot. A wait for an end lasts as long as the handle.
#[cold]
#[inline(never)]
fn drop_left(closed: Closed) {
    if let Closed::Entry(entry) | Closed::Leaving(Some(entry)) = closed {
        let object = entry.object().clone();
        drop(entry);
        revoke::tell_who_waits_for(&object);
    }
}

#[inline(always)]
pub(super) fn close(current: &Current, registers: &Registers) -> Completion {
    match current.process.remove(CapSlot::from_bits(registers.control[0])) {
        Ok(Closed::Entry(entry)) if !entry.has_end() => {
            drop(entry);
            Completion::done(current)
        }
        Ok(closed) => close_other(current, closed),
        Err(error) => Completion::Failed(error),
    }
}

/// Who ends its own process by closing the last capability to it does not come back.
#[cold]
#[inline(never)]
fn close_other(current: &Current, closed: Closed) -> Completion {
    drop_left(closed);
    match current.process.is_ending() {
        true => Completion::End(ExitReason::Killed),
        false => Completion::done(current),
    }
}

/// Kind, rights, badge, by which number its object is told apart, and whether that is an endpoint that is over.
pub(super) fn inspect(current: &Current, registers: &Registers) -> Answer {
    let capability = current.process.capability(CapSlot::from_bits(registers.control[0]))?;
    let kind = capability.object.header().kind().map_or(0, |kind| kind as u64);
    let identity = identity_of(&capability.object);
    let is_over = capability.object.get::<Endpoint>().is_ok_and(Endpoint::is_over);
    let mut words = [0; REGISTER_WORDS];
    words[0] = is_over.into();
    let control = [kind, capability.rights.bits().into(), capability.badge, identity];
    Ok(Registers { control, words })
}

pub(super) fn revoke(current: &Current, registers: &Registers) -> Completion {
    let [slot, badge, ..] = registers.control;
    trace::note(EventKind::Revoke, current.who(), [slot, badge, 0]);
    let slot = CapSlot::from_bits(slot);
    let unfinished = Unfinished(current.process.clone());
    let mut begun = match begin_revoke(&current.process, slot, badge) {
        Ok(Begun::Nothing) => return Completion::done(current),
        Ok(begun) => begun,
        Err(error) => return Completion::Failed(error),
    };
    block(current, BlockReason::Working, async move {
        loop {
            let is_own = matches!(begun, Begun::Own(_));
            if let Begun::Own(revoking) | Begun::Other(revoking) = &mut begun {
                revoke::finish(revoking).await;
            }
            if is_own {
                return Outcome::Answer(Ok(Registers::default()));
            }
            begun = match begin_revoke(&unfinished.0, slot, badge) {
                Ok(Begun::Nothing) => return Outcome::Answer(Ok(Registers::default())),
                Ok(begun) => begun,
                Err(error) => return Outcome::Answer(Err(error)),
            };
        }
    })
}

/// Begins to revoke what was derived from a capability, of which all has a `badge` that is 0.
fn begin_revoke(process: &Process, slot: CapSlot, badge: u64) -> Result<Begun, Error> {
    match badge {
        0 => Revoking::begin(&process.table, slot).map(Begun::Own),
        _ => Revoking::begin_cut(&process.table, slot, badge),
    }
}

/// A process one of whose threads revokes. What is left to be done when that is over, or the thread is killed, is
/// its reaper's.
struct Unfinished(Ref<Process>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.0.table.lock().unfinished() > 0 {
            self.0.reap_at(cause::priority());
        }
    }
}
