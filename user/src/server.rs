//! A server's loop: take a message, answer it, take the next.
#![forbid(unsafe_code)]

use orbital_abi::{IpcError, Message, Received};

use crate::endpoint::{Endpoint, reply};

/// What a handler wants.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    /// Answer this, and go on. The answer to a message that was no call goes nowhere.
    Reply(Message),
    /// Go on without an answer: the call is kept ([`Reply::keep`](crate::Reply::keep)), or it is to be dropped.
    Later,
    /// Answer this, and leave the loop.
    ReplyAndStop(Message),
}

/// Serves `endpoint` until the handler has enough.
///
/// # Errors
/// [`IpcError::EndpointGone`] and whatever else keeps it from receiving.
pub fn serve(
    endpoint: &Endpoint,
    mut handler: impl FnMut(&Received) -> Next,
) -> Result<(), IpcError> {
    let mut received = endpoint.receive()?;
    loop {
        received = match (handler(&received), received.is_call) {
            (Next::Reply(answer), true) => endpoint.reply_receive(&answer)?,
            (Next::Reply(_), false) | (Next::Later, _) => endpoint.receive()?,
            (Next::ReplyAndStop(answer), true) => {
                return match reply(&answer) {
                    // The caller gave up; that is its own affair.
                    Err(IpcError::PeerGone) => Ok(()),
                    other => other,
                };
            }
            (Next::ReplyAndStop(_), false) => return Ok(()),
        };
    }
}
