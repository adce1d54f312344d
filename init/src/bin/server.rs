//! The demo's server: calculates for whoever has a capability to its endpoint.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

use orbital_init::service::{ANSWER, CALCULATE, REFUSED, STOP};
use orbital_user::{
    Endpoint, IpcError, Message, Received, entry,
    server::{Next, serve},
    start::take_granted,
};

entry!(main);

fn main() -> Result<(), IpcError> {
    let slot = take_granted(0).ok_or(IpcError::EmptySlot)?.into_slot();
    let endpoint = Endpoint::from_slot(slot);
    let mut answered = 0;
    serve(&endpoint, |request| {
        let next = answer(request, answered);
        answered += 1;
        // Three words at most fit into a message.
        next.unwrap_or(Next::Reply(Message::default()))
    })
}

fn answer(request: &Received, answered: u64) -> Result<Next, IpcError> {
    Ok(match (request.message.label(), request.message.words()) {
        (CALCULATE, &[a, b]) => {
            let words = [a.wrapping_add(b), a.wrapping_mul(b), request.badge];
            Next::Reply(Message::new(ANSWER, &words)?)
        }
        (STOP, []) => Next::ReplyAndStop(Message::new(ANSWER, &[answered])?),
        _ => Next::Reply(Message::new(REFUSED, &[])?),
    })
}
