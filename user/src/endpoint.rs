//! Endpoints: where messages are sent and received.
#![forbid(unsafe_code)]

use orbital_abi::{
    CapSlot, Deadline, Error, IpcError, Message, Received, Registers, Rights, Syscall,
};

use crate::{capability::Capability, syscall::harmless};

/// An endpoint, closed on drop. When the last capability with `RECEIVE` is closed, all who wait on it get
/// [`IpcError::EndpointGone`].
#[derive(Debug)]
pub struct Endpoint(Capability);

impl Endpoint {
    /// A new endpoint, with all rights.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`]; [`Error::TableFull`].
    pub fn create() -> Result<Self, Error> {
        let results = harmless(Syscall::EndpointCreate, &Registers::default())?;
        Ok(Self::from_slot(CapSlot::from_bits(results.control[0])))
    }

    /// Takes over the endpoint capability in `slot`.
    pub const fn from_slot(slot: CapSlot) -> Self {
        Self(Capability::from_slot(slot))
    }

    /// Its slot.
    pub const fn slot(&self) -> CapSlot {
        self.0.slot()
    }

    /// A copy with these rights at most, and `badge` where it is not 0.
    ///
    /// # Errors
    /// As [`Capability::copy`].
    pub fn copy(&self, rights: Rights, badge: u64) -> Result<Self, Error> {
        self.0.copy(rights, badge).map(Self)
    }

    /// Sends `message` and waits until it is received.
    ///
    /// # Errors
    /// [`IpcError::MissingRights`] without `SEND`; [`IpcError::EndpointGone`]; those of the slot.
    pub fn send(&self, message: &Message) -> Result<(), IpcError> {
        self.transfer(Syscall::Send, Some(message), Deadline::Never).map(|_| ())
    }

    /// Sends `message` if someone waits for it.
    ///
    /// # Errors
    /// As [`Endpoint::send`]; [`IpcError::WouldBlock`] when nobody waits.
    pub fn try_send(&self, message: &Message) -> Result<(), IpcError> {
        self.transfer(Syscall::Send, Some(message), Deadline::Now).map(|_| ())
    }

    /// Sends `message` and waits for the reply.
    ///
    /// # Errors
    /// As [`Endpoint::send`]; [`IpcError::PeerGone`] when the server ends without a reply.
    pub fn call(&self, message: &Message) -> Result<Message, IpcError> {
        let results = self.transfer(Syscall::Call, Some(message), Deadline::Never)?;
        Received::decode(&results).map(|received| received.message)
    }

    /// Sends `message` if someone waits for it, and waits for the reply.
    ///
    /// # Errors
    /// As [`Endpoint::call`]; [`IpcError::WouldBlock`] when nobody waits.
    pub fn try_call(&self, message: &Message) -> Result<Message, IpcError> {
        let results = self.transfer(Syscall::Call, Some(message), Deadline::Now)?;
        Received::decode(&results).map(|received| received.message)
    }

    /// Lets one thread alone receive, which `thread` names, or everyone, where that is null. Needs `RECEIVE` here and
    /// `MANAGE` there. A call that would close a cycle of waits for such threads is refused:
    /// [`IpcError::WouldDeadlock`].
    ///
    /// # Errors
    /// [`Error::AlreadyBound`] when one of both is, or another thread waits to receive; [`Error::EndpointGone`];
    /// [`Error::Ended`]; [`Error::QuotaExceeded`]; [`Error::Revoked`]; those of the slots.
    pub fn bind(&self, thread: CapSlot) -> Result<(), Error> {
        let registers = Registers::control([self.slot().bits(), thread.bits(), 0, 0]);
        harmless(Syscall::EndpointBind, &registers).map(|_| ())
    }

    /// Waits for a message, or for signals of the notification that is bound to this thread. When it is a call, one
    /// that this thread took before and has not answered is dropped: its caller gets [`IpcError::PeerGone`].
    ///
    /// # Errors
    /// [`IpcError::MissingRights`] without `RECEIVE`; [`IpcError::EndpointGone`]; those of the slot.
    pub fn receive(&self) -> Result<Received, IpcError> {
        Received::decode(&self.transfer(Syscall::Receive, None, Deadline::Never)?)
    }

    /// Takes a message that is there.
    ///
    /// # Errors
    /// As [`Endpoint::receive`]; [`IpcError::WouldBlock`] when there is none.
    pub fn try_receive(&self) -> Result<Received, IpcError> {
        Received::decode(&self.transfer(Syscall::Receive, None, Deadline::Now)?)
    }

    /// Answers the call that this thread took last, and waits for the next message.
    ///
    /// # Errors
    /// As [`Endpoint::receive`]; [`IpcError::NoReplyOwed`]. A caller that is gone is no error.
    pub fn reply_receive(&self, reply: &Message) -> Result<Received, IpcError> {
        Received::decode(&self.transfer(Syscall::ReplyReceive, Some(reply), Deadline::Never)?)
    }

    /// Sends `message` and waits until it is received, until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// As [`Endpoint::send`]; [`IpcError::TimedOut`], and nobody has it.
    pub fn send_until(&self, deadline: u64, message: &Message) -> Result<(), IpcError> {
        self.transfer(Syscall::Send, Some(message), Deadline::from_bits(deadline)).map(|_| ())
    }

    /// Sends `message` and waits for the reply, until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// As [`Endpoint::call`]; [`IpcError::TimedOut`] when nobody has taken it, and
    /// [`IpcError::Unanswered`] when someone has.
    pub fn call_until(&self, deadline: u64, message: &Message) -> Result<Message, IpcError> {
        let deadline = Deadline::from_bits(deadline);
        let results = self.transfer(Syscall::Call, Some(message), deadline)?;
        Received::decode(&results).map(|received| received.message)
    }

    /// Waits for a message, until `deadline` (nanoseconds since boot).
    ///
    /// # Errors
    /// As [`Endpoint::receive`]; [`IpcError::TimedOut`].
    pub fn receive_until(&self, deadline: u64) -> Result<Received, IpcError> {
        Received::decode(&self.transfer(Syscall::Receive, None, Deadline::from_bits(deadline))?)
    }

    fn transfer(
        &self,
        syscall: Syscall,
        message: Option<&Message>,
        deadline: Deadline,
    ) -> Result<Registers, IpcError> {
        let (tag, words) = message.map_or((0, [0; _]), |m| (m.tag.bits(), m.words));
        let control = [self.slot().bits(), tag, deadline.bits(), 0];
        harmless(syscall, &Registers { control, words }).map_err(ipc_error)
    }
}

/// Answers the call that this thread took last.
///
/// # Errors
/// [`IpcError::NoReplyOwed`]; [`IpcError::PeerGone`] when the caller is gone.
pub fn reply(message: &Message) -> Result<(), IpcError> {
    answer(CapSlot::NULL, message)
}

/// Answers the call that is kept in a slot, or the one that this thread took last.
pub(crate) fn answer(kept: CapSlot, message: &Message) -> Result<(), IpcError> {
    let control = [kept.bits(), message.tag.bits(), 0, 0];
    let registers = Registers { control, words: message.words };
    harmless(Syscall::Reply, &registers).map(|_| ()).map_err(ipc_error)
}

/// Message operations answer no other errors than these.
pub(crate) fn ipc_error(error: Error) -> IpcError {
    IpcError::try_from(error).unwrap_or(IpcError::InvalidMessage)
}
