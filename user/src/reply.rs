//! Replies: calls that were taken and are answered later, perhaps by another thread.
#![forbid(unsafe_code)]

use orbital_abi::{CapSlot, Deadline, Error, IpcError, Message, Received, Registers, Syscall};

use crate::{
    capability::Capability,
    endpoint::{Endpoint, answer, ipc_error},
    syscall::harmless,
};

/// A call to be answered, by any thread of the process. Dropped, it tells the caller that nobody will:
/// [`IpcError::PeerGone`].
#[derive(Debug)]
pub struct Reply(Capability);

impl Reply {
    /// Keeps the call that this thread took last: it owes none any more.
    ///
    /// # Errors
    /// [`Error::NoReplyOwed`]; [`Error::PeerGone`] when the caller is gone; [`Error::QuotaExceeded`];
    /// [`Error::TableFull`]. Then the thread owes what it owed.
    pub fn keep() -> Result<Self, Error> {
        let results = harmless(Syscall::ReplyKeep, &Registers::default())?;
        Ok(Self(Capability::from_slot(CapSlot::from_bits(results.control[0]))))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// Answers it.
    ///
    /// # Errors
    /// [`IpcError::PeerGone`] when the caller is gone.
    pub fn answer(self, message: &Message) -> Result<(), IpcError> {
        let answered = answer(self.slot(), message);
        if let Ok(()) | Err(IpcError::PeerGone) = answered {
            self.used_up();
        }
        answered
    }

    /// Answers it and waits for the next message at `endpoint`. What this thread took last and has not answered
    /// stays, until it takes the next call.
    ///
    /// # Errors
    /// As [`Endpoint::receive`]. A caller that is gone is none.
    pub fn answer_and_receive(
        self,
        endpoint: &Endpoint,
        message: &Message,
    ) -> Result<Received, IpcError> {
        let (endpoint, kept) = (endpoint.slot().bits(), self.slot().bits());
        let control = [endpoint, message.tag.bits(), Deadline::Never.bits(), kept];
        let registers = Registers { control, words: message.words };
        let results = harmless(Syscall::ReplyReceive, &registers).map_err(ipc_error);
        // What is refused for the endpoint's slot is not answered, and dropped.
        if let Ok(_) | Err(IpcError::EndpointGone) = results {
            self.used_up();
        }
        Received::decode(&results?)
    }

    /// The slot is empty.
    pub(crate) fn used_up(self) {
        self.0.into_slot();
    }
}
