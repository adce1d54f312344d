//! Answers to calls. The call that a thread has taken stands in its TCB until it is answered or dropped: a dropped
//! one wakes its caller with `PeerGone`. Or the thread keeps it, as a [`Reply`] in a slot of its process's table, from
//! where any of the process's threads can answer it: once. The end of the slot drops it. While one of them answers, what
//! comes of that is open, as there may be no room for the answer: another one that comes meanwhile is told
//! [`Error::NoReplyOwed`], and may try again.
//!
//! Wherever it stands, its caller knows ([`OwedCell`]), and one that gives up or ends leaves nothing behind but the
//! fact, of which whoever answers is told: `PeerGone`.

use orbital_abi::{CapSlot, Error, Message, ObjectKind, Rights, Tag};

use super::{flow, transfer};
use crate::{
    capability::Capability,
    object::{Header, Object, Ref},
    sched::settle,
    thread::{Claim, Current, Found, Holder, OwedCell, Tcb},
};

/// Whether a sender waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// It goes on once the message is taken.
    Nothing,
    /// It calls.
    Reply,
}

#[cfg(test)]
mod tests;

/// A call that was taken, to be answered later. Its capability has no rights, so it can't be copied: there is one
/// place from where it is answered, until that is done.
#[repr(C)]
pub struct Reply {
    header: Header,
    /// Empty once it is answered.
    call: OwedCell,
}

// SAFETY: `repr(C)`, and the header comes first.
unsafe impl Object for Reply {
    const KIND: Option<ObjectKind> = Some(ObjectKind::Reply);

    /// Nobody can answer any more: the caller is told.
    fn orphaned(&self) {
        // Whoever has it in hand keeps the reply, whose end drops what is put back.
        drop(self.call.give_up());
    }
}

/// Puts the call that the current thread owes into a slot, which it gives.
///
/// # Errors
/// [`Error::NoReplyOwed`] when there is none; [`Error::PeerGone`] when its caller has given up or ended;
/// [`Error::QuotaExceeded`]; those of [`Process::install`](crate::process::Process::install). Then it is owed still.
pub fn keep(current: &Current) -> Result<CapSlot, Error> {
    let owed = current.owed();
    if !owed.is_owed() {
        return Err(Error::NoReplyOwed);
    }
    if !owed.is_some() {
        return Err(Error::PeerGone);
    }
    let reply = Reply { header: Header::new::<Reply>(), call: OwedCell::new() };
    let reply = Ref::new_in(&current.process.quota, reply)?;
    // Before anyone can find it. A caller that gives up meanwhile is gone for whoever answers.
    owed.move_to(Holder::Kept(&reply.call));
    let slot = current.process.install(Capability::new(reply.clone(), Rights::empty()));
    if slot.is_err() {
        reply.call.move_to(Holder::Thread(current));
    }
    settle(current);
    slot
}

/// Answers the call that the current thread owes, where `kept` is null, or the one that its process has kept there. Gives
/// whose it was.
///
/// # Errors
/// [`Error::NoReplyOwed`] when it owes none, or another thread is about to answer the kept one, or to find that it
/// can't; those of the slot; [`Error::PeerGone`] when the caller has given up or ended: then the reply is used up.
/// [`Error::NoRoom`] when the caller has no room for the message, and those of
/// [`transfer::pass`]: then it is to be answered still.
pub fn reply(current: &Current, kept: CapSlot, message: &Message) -> Result<Ref<Tcb>, Error> {
    if kept.is_null() {
        let answered = answer(current, Holder::Thread(current), message, Error::NoReplyOwed);
        settle(current);
        return answered;
    }
    let reply: Ref<Reply> = current.process.capability(kept)?.object(Rights::empty())?;
    // Perhaps another thread was quicker.
    let answered = answer(current, Holder::Kept(&reply.call), message, Error::StaleCapability);
    if matches!(answered, Ok(_) | Err(Error::PeerGone)) {
        // Perhaps closed meanwhile.
        let _ = current.process.close(kept);
    }
    answered
}

/// Answers the call that `holder` has; `nothing` where there is none.
fn answer(
    current: &Current,
    holder: Holder<'_>,
    message: &Message,
    nothing: Error,
) -> Result<Ref<Tcb>, Error> {
    let (cell, is_kept) = (holder.cell(), matches!(holder, Holder::Kept(_)));
    let found = if is_kept { cell.pick_up() } else { cell.take() };
    let call = match found {
        Found::Nothing => return Err(nothing),
        Found::Gone => return Err(Error::PeerGone),
        Found::InHand => return Err(Error::NoReplyOwed),
        Found::Call(call) => call,
    };
    let Some(claim) = call.claim() else {
        cell.put_down();
        return Err(Error::PeerGone);
    };
    let mut first = CapSlot::NULL;
    if transfer::is_more(message.tag) {
        match give_more(current, message.tag, &claim) {
            Ok(slot) => first = slot,
            Err(error) => {
                claim.put_back(holder);
                return Err(error);
            }
        }
    }
    cell.put_down();
    let caller = claim.thread().clone();
    flow::answers(current, &caller);
    claim.complete(Ok(transfer::replied(message, first)));
    Ok(caller)
}

/// Gives the caller what does not go from register to register. Gives the slot of its first capability.
fn give_more(current: &Current, tag: Tag, claim: &Claim) -> Result<CapSlot, Error> {
    let caller = claim.thread();
    // To a fault no more than the label is an answer: words need no room. It accepts no capabilities.
    if caller.sends_fault() && tag.capabilities() == 0 {
        return Ok(CapSlot::NULL);
    }
    if !transfer::has_room(caller, tag) {
        return Err(Error::NoRoom);
    }
    let first = current.with_registers(|registers| registers.fourth());
    transfer::pass(tag, first, &current.into(), &claim.into())
}
