//! The side that asks.
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::{fmt, marker::PhantomData};

use orbital_abi::{CapSlot, IpcError};
use serde::{Serialize, de::DeserializeOwned};

use super::frame::{ACCEPTS, Frame, read};
use crate::{capability::Capability, endpoint::Endpoint};

/// Asks a server questions `Q`, which it answers with `A`.
#[derive(Debug)]
pub struct Client<Q, A> {
    endpoint: Endpoint,
    _asks: PhantomData<fn(&Q) -> A>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The message did not come through.
    Ipc(IpcError),
    /// The server can't read the question.
    Refused,
    /// The answer is none that the client can read.
    NoAnswer,
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipc(error) => error.fmt(f),
            Self::Refused => f.write_str("the server does not understand the question"),
            Self::NoAnswer => f.write_str("the answer can't be understood"),
        }
    }
}

impl core::error::Error for CallError {}

impl From<IpcError> for CallError {
    fn from(error: IpcError) -> Self {
        Self::Ipc(error)
    }
}

impl<Q: Serialize, A: DeserializeOwned> Client<Q, A> {
    /// A client of the server at `endpoint`.
    pub const fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, _asks: PhantomData }
    }

    /// Where the server is.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks, and waits for the answer. Capabilities that come with it are closed.
    ///
    /// # Errors
    /// A [`CallError`].
    pub fn call(&self, question: &Q) -> Result<A, CallError> {
        self.call_with(question, &[]).map(|(answer, _)| answer)
    }

    /// Asks with the capabilities in these slots, up to four, or three with more than 3,968 bytes; gives the answer and
    /// what comes with it.
    ///
    /// # Errors
    /// A [`CallError`].
    pub fn call_with(
        &self,
        question: &Q,
        capabilities: &[CapSlot],
    ) -> Result<(A, Vec<Capability>), CallError> {
        let frame = Frame::lending(question, capabilities)?;
        let called = self.endpoint.call_with(&frame.message, frame.capabilities(), ACCEPTS);
        let (message, mut came) = called?;
        if Frame::is_refusal(&message) {
            return Err(CallError::Refused);
        }
        let answer = read(&message, &mut came).ok_or(CallError::NoAnswer)?;
        Ok((answer, came))
    }
}
