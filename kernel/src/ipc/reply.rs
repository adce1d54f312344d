//! Answers to calls. The call that a thread has taken stands in its TCB until it is answered or
//! dropped: a dropped one wakes its caller with `PeerGone`.
#![forbid(unsafe_code)]

use orbital_abi::{IpcError, Message};

use super::transfer;
use crate::{
    object::Ref,
    thread::{Current, Owed, Tcb},
};

/// Whether a sender waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// It goes on once the message is taken.
    Nothing,
    /// It calls.
    Reply,
}

/// `server` has taken the call `sequence` of `caller`. Gives the call that it had not answered, to
/// be dropped when no wait is claimed.
pub(super) fn owe(server: &Tcb, caller: Ref<Tcb>, sequence: u64) -> Option<Owed> {
    server.owed.lock().replace(Owed { caller, sequence })
}

/// Answers the call that the current thread has taken.
///
/// # Errors
/// [`IpcError::NoReplyOwed`] when there is none; [`IpcError::PeerGone`] when its caller has ended.
pub fn reply(current: &Current, message: &Message) -> Result<(), IpcError> {
    let owed = current.owed.lock().take().ok_or(IpcError::NoReplyOwed)?;
    let claim = owed.caller.claim_taken(owed.sequence).ok_or(IpcError::PeerGone)?;
    claim.complete(Ok(transfer::replied(message)));
    Ok(())
}
