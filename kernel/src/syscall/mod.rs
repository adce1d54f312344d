//! System calls, from the entry code to the handlers: one file per family.
//!
//! A handler decodes everything that may fail, then commits what can't. It is a plain function
//! unless it can wait; those give their future to [`sched::block`](crate::sched::block()).

mod capability;
mod census;
mod clock;
mod control;
mod dispatch;
mod fault;
mod interrupt;
mod ipc;
mod log;
mod memory;
mod notification;
mod port;
mod process;
mod quick;
mod system;
mod thread;
mod timer;
mod waits;
mod walk;

#[cfg(test)]
mod tests;

use alloc::borrow::Cow;

use orbital_abi::{CapSlot, Error, ExitReason, Registers, Rights};
use orbital_executor::timer::Elapsed;

use crate::{
    object::{Object, Ref},
    process::Process,
    thread::Current,
};

/// What most handlers give: the answer's registers.
type Answer = Result<Registers, Error>;

/// An answer of one control word.
fn value(value: u64) -> Registers {
    Registers::control([value, 0, 0, 0])
}

/// The answer of a wait for an end, which gave `reason` if it has come, and else is over because the capability by
/// which it was waited for is gone.
fn ended(waited: Result<(), Elapsed>, reason: Option<ExitReason>) -> Answer {
    waited.map_err(|Elapsed| Error::TimedOut)?;
    Ok(Registers::control(reason.ok_or(Error::Revoked)?.encode()))
}

/// The object that `slot` of the current process names, if the capability has the rights.
fn lookup<T: Object>(current: &Current, slot: CapSlot, needed: Rights) -> Result<Ref<T>, Error> {
    current.process.capability(slot)?.object(needed)
}

/// The process that `slot` names in the table of `own`, or `own` itself where it is null.
#[inline(always)]
fn process_or_own(own: &Ref<Process>, slot: CapSlot) -> Result<Cow<'_, Ref<Process>>, Error> {
    if slot.is_null() {
        return Ok(Cow::Borrowed(own));
    }
    managed(own, slot).map(Cow::Owned)
}

#[inline(never)]
fn managed(own: &Process, slot: CapSlot) -> Result<Ref<Process>, Error> {
    own.capability(slot)?.object(Rights::MANAGE)
}
