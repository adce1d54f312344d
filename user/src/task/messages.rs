//! Messages, for tasks: a thread of the pool waits for each.
#![forbid(unsafe_code)]

use core::mem::ManuallyDrop;

use orbital_abi::{CapSlot, IpcError, Message, Received};

use serde::de::DeserializeOwned;

use super::unblock;
use crate::{
    endpoint::Endpoint,
    reply::Reply,
    rpc::{self, Call},
};

/// Sends `message` to `endpoint` and waits for the reply. Where the future is dropped, the call goes on, and its answer is
/// lost.
///
/// # Errors
/// As [`Endpoint::call`]; [`IpcError::StaleCapability`] where the endpoint is closed meanwhile.
pub async fn call(endpoint: &Endpoint, message: &Message) -> Result<Message, IpcError> {
    let (slot, message) = (endpoint.slot(), *message);
    unblock(move || borrowed(slot).call(&message)).await
}

/// Waits for a message. That of a call comes with the [`Reply`] to answer it by, from whatever thread. Where the future is
/// dropped, the next message is taken all the same, and a call is dropped.
///
/// # Errors
/// As [`Endpoint::receive`].
pub async fn receive(endpoint: &Endpoint) -> Result<(Received, Option<Reply>), IpcError> {
    let slot = endpoint.slot();
    unblock(move || {
        let received = borrowed(slot).receive()?;
        // A caller that is gone wants no answer.
        let reply = if received.is_call { Reply::keep().ok() } else { None };
        Ok((received, reply))
    })
    .await
}

/// Waits for a question of typed calls. Where the future is dropped, the next one is taken all the same, and dropped.
///
/// # Errors
/// As [`rpc::receive`].
pub async fn question<Q: DeserializeOwned + Send + 'static>(
    endpoint: &Endpoint,
) -> Result<(Call<Q>, Reply), IpcError> {
    let slot = endpoint.slot();
    unblock(move || rpc::receive(&borrowed(slot))).await
}

/// The endpoint in a slot that someone else keeps open.
fn borrowed(slot: CapSlot) -> ManuallyDrop<Endpoint> {
    ManuallyDrop::new(Endpoint::from_slot(slot))
}
