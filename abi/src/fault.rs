//! What a thread's fault handler is told, and what it answers.
//!
//! A fault is a call: the handler receives it at its endpoint, marked as the kernel's own
//! ([`Received::is_fault`](crate::Received::is_fault)), and answers it. The label of the answer says how the
//! thread goes on. One that is never answered, because the handler ends, takes another call first, or the
//! endpoint goes, ends the thread with the fault as its reason.

use crate::{Error, Fault, FaultKind, IpcError, Message};

/// The label of a fault's message.
pub const FAULT: u32 = u32::MAX;

/// The label of an answer: the thread tries again where it was, or where its registers say by now.
pub const RESUME: u32 = 0;

/// The label of an answer: the fault ends the thread. Every other label but [`RESUME`] means the same.
pub const END: u32 = 1;

/// A fault, as its handler is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultMessage {
    /// What the thread did.
    pub fault: Fault,
    /// The thread's number, by which the log names it. The badge of the handler's capability is what a handler
    /// knows it by.
    pub thread: u64,
}

impl FaultMessage {
    /// As a message.
    pub fn encode(&self) -> Message {
        let Fault { kind, address, instruction_pointer } = self.fault;
        let words = [kind as u64, address, instruction_pointer, self.thread];
        // Four words fit.
        Message::new(FAULT, &words).unwrap_or_default()
    }

    /// From a message.
    ///
    /// # Errors
    /// [`IpcError::InvalidMessage`] for any other.
    pub fn decode(message: &Message) -> Result<Self, IpcError> {
        let &[kind, address, instruction_pointer, thread] = message.words() else {
            return Err(IpcError::InvalidMessage);
        };
        let kind = FaultKind::ALL.into_iter().find(|known| *known as u64 == kind);
        match kind {
            Some(kind) if message.label() == FAULT => {
                Ok(Self { fault: Fault { kind, address, instruction_pointer }, thread })
            }
            _ => Err(IpcError::InvalidMessage),
        }
    }
}

/// A part of a thread's registers, ten values each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum RegisterBank {
    /// `rip`, `rsp`, `rflags`, `rax`, `rbx`, `rcx`, `rdx`, `rsi`, `rdi`, `rbp`.
    First = 0,
    /// `r8` to `r15`, and two zeroes.
    Second = 1,
}

impl RegisterBank {
    /// How many values a bank has.
    pub const VALUES: usize = 10;

    /// The bank with this number.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for any other.
    pub fn from_number(number: u64) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::First),
            1 => Ok(Self::Second),
            _ => Err(Error::InvalidArgument),
        }
    }
}
