//! Messages that bring capabilities, up to four. The sender keeps its own, which need the right `GRANT`; the receiver
//! gets one that is derived from each.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_abi::{
    CapSlot, Deadline, IpcError, Message, Received, Registers, Syscall, message::PAGE_SLOTS,
};

use crate::{
    capability::Capability,
    endpoint::{Endpoint, ipc_error},
    message_page::MessagePage,
    reply::Reply,
    syscall::harmless,
};

/// The page, for a message with so many capabilities: one needs none.
fn page_for(count: usize) -> Result<Option<MessagePage>, IpcError> {
    if count < 2 {
        return Ok(None);
    }
    MessagePage::of_thread().map(Some).map_err(ipc_error)
}

/// Makes a message operation that sends the capabilities in `sent`, and accepts so many.
fn transfer(
    syscall: Syscall,
    endpoint: CapSlot,
    message: &Message,
    sent: &[CapSlot],
    accepts: usize,
) -> Result<(Received, Vec<Capability>), IpcError> {
    let tag = message.tag.with_capabilities(sent.len(), accepts)?;
    let page = page_for(sent.len().max(accepts))?;
    if let (Some(page), [_, rest @ ..]) = (&page, sent) {
        for (entry, slot) in page.entries()[PAGE_SLOTS].iter().zip(rest) {
            entry.set(slot.bits());
        }
    }
    let deadline = if syscall == Syscall::Reply { Deadline::Now } else { Deadline::Never };
    let first = sent.first().map_or(0, |slot| slot.bits());
    let control = [endpoint.bits(), tag.bits(), deadline.bits(), first];
    let results = harmless(syscall, &Registers { control, words: message.words });
    let results = results.map_err(ipc_error)?;
    let received = Received::decode(&results)?;
    let mut came = Vec::new();
    let count = received.message.tag.capabilities();
    if count > 0 {
        came.push(results.control[3]);
    }
    if let Some(page) = &page {
        let rest = page.entries()[PAGE_SLOTS].iter().take(count.saturating_sub(1));
        came.extend(rest.map(core::cell::Cell::get));
    }
    let own = came.into_iter().map(|slot| Capability::from_slot(CapSlot::from_bits(slot)));
    Ok((received, own.collect()))
}

impl Endpoint {
    /// Sends `message` with the capabilities in these slots, and waits until it is received.
    ///
    /// # Errors
    /// As [`Endpoint::send`]; those of the slots, [`IpcError::MissingRights`] without `GRANT`, [`IpcError::Revoked`]
    /// and [`IpcError::TooDeep`] as for a copy; [`IpcError::NoRoom`] where the receiver does not accept so many;
    /// [`IpcError::InvalidMessage`] for more than four; [`IpcError::QuotaExceeded`] without means for a page.
    pub fn send_with(&self, message: &Message, capabilities: &[CapSlot]) -> Result<(), IpcError> {
        transfer(Syscall::Send, self.slot(), message, capabilities, 0).map(|_| ())
    }

    /// Calls with `message` and the capabilities in these slots; the reply may bring as many as it `accepts`.
    ///
    /// # Errors
    /// As [`Endpoint::call`] and [`Endpoint::send_with`]; [`IpcError::QuotaExceeded`] and [`IpcError::TableFull`]
    /// without means for the slots of what is accepted.
    pub fn call_with(
        &self,
        message: &Message,
        capabilities: &[CapSlot],
        accepts: usize,
    ) -> Result<(Message, Vec<Capability>), IpcError> {
        let (reply, came) = transfer(Syscall::Call, self.slot(), message, capabilities, accepts)?;
        Ok((reply.message, came))
    }

    /// Waits for a message, which may bring as many capabilities as this `accepts`.
    ///
    /// # Errors
    /// As [`Endpoint::receive`]; as [`Endpoint::call_with`] for what is accepted.
    pub fn receive_with(&self, accepts: usize) -> Result<(Received, Vec<Capability>), IpcError> {
        transfer(Syscall::Receive, self.slot(), &Message::default(), &[], accepts)
    }

    /// Answers the call that this thread took last with `reply` and the capabilities in these slots, and waits for the
    /// next message, which may bring as many as this `accepts`.
    ///
    /// # Errors
    /// As [`Endpoint::reply_receive`], [`reply_with`] and [`Endpoint::receive_with`].
    pub fn reply_receive_with(
        &self,
        reply: &Message,
        capabilities: &[CapSlot],
        accepts: usize,
    ) -> Result<(Received, Vec<Capability>), IpcError> {
        transfer(Syscall::ReplyReceive, self.slot(), reply, capabilities, accepts)
    }
}

/// Answers the call that this thread took last, with the capabilities in these slots.
///
/// # Errors
/// As [`reply`](crate::endpoint::reply); as [`Endpoint::send_with`] for the capabilities. The call is still to be
/// answered then, unless its caller is gone.
pub fn reply_with(message: &Message, capabilities: &[CapSlot]) -> Result<(), IpcError> {
    transfer(Syscall::Reply, CapSlot::NULL, message, capabilities, 0).map(|_| ())
}

impl Reply {
    /// Answers it, with the capabilities in these slots.
    ///
    /// # Errors
    /// As [`Reply::answer`]; as [`Endpoint::send_with`] for the capabilities: then its caller gets
    /// [`IpcError::PeerGone`].
    pub fn answer_with(self, message: &Message, capabilities: &[CapSlot]) -> Result<(), IpcError> {
        let answered = transfer(Syscall::Reply, self.slot(), message, capabilities, 0).map(|_| ());
        if let Ok(()) | Err(IpcError::PeerGone) = answered {
            self.used_up();
        }
        answered
    }

    /// Gives it back if its caller still waits. That is offered an answer with a capability that there is not: a caller that
    /// is gone is noticed first, and another one sees nothing of it.
    pub fn if_awaited(self) -> Option<Self> {
        let nothing = [CapSlot::NULL];
        match transfer(Syscall::Reply, self.slot(), &Message::default(), &nothing, 0) {
            Ok(_) | Err(IpcError::PeerGone) => {
                self.used_up();
                None
            }
            Err(_) => Some(self),
        }
    }
}
