//! Answers to calls. The call that a thread has taken stands in its TCB until it is answered or
//! dropped: a dropped one wakes its caller with `PeerGone`.
#![forbid(unsafe_code)]

use orbital_abi::{IpcError, Message};

use super::transfer;
use crate::thread::Current;

/// Whether a sender waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// It goes on once the message is taken.
    Nothing,
    /// It calls.
    Reply,
}

/// Answers the call that the current thread has taken.
///
/// # Errors
/// [`IpcError::NoReplyOwed`] when there is none; [`IpcError::PeerGone`] when its caller has ended.
pub fn reply(current: &Current, message: &Message) -> Result<(), IpcError> {
    let owed = current.take_owed().ok_or(IpcError::NoReplyOwed)?;
    let claim = owed.caller.claim_taken(owed.sequence).ok_or(IpcError::PeerGone)?;
    claim.complete(Ok(transfer::replied(message)));
    Ok(())
}
