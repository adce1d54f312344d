//! How a value becomes a message, and the other way.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use orbital_abi::{
    CapSlot, IpcError, Message,
    message::{MAX_CAPABILITIES, MAX_WORDS, REGISTER_WORDS},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{capability::Capability, memory::MemoryObject, message_page::MessagePage};

/// A value has no more bytes than this: who asks has the server copy as many.
const MOST_BYTES: usize = 1 << 20;
/// The label of a refusal.
const REFUSED: u32 = u32::MAX;

/// How many capabilities each side accepts.
pub(super) const ACCEPTS: usize = MAX_CAPABILITIES;

/// A value as a message, made to be sent at once by the same thread.
pub(super) struct Frame {
    pub(super) message: Message,
    /// First the memory with the bytes, where these do not fit into a message.
    slots: Vec<CapSlot>,
    /// What is closed once it is sent.
    _kept: Vec<Capability>,
}

impl Frame {
    /// `value` with these capabilities.
    pub(super) fn new(
        value: &impl Serialize,
        capabilities: Vec<Capability>,
    ) -> Result<Self, IpcError> {
        let slots = capabilities.iter().map(Capability::slot).collect();
        Self::with(value, slots, capabilities)
    }

    /// `value` with copies of the capabilities in these slots, which stay open.
    pub(super) fn lending(value: &impl Serialize, slots: &[CapSlot]) -> Result<Self, IpcError> {
        Self::with(value, slots.to_vec(), Vec::new())
    }

    fn with(
        value: &impl Serialize,
        mut slots: Vec<CapSlot>,
        mut kept: Vec<Capability>,
    ) -> Result<Self, IpcError> {
        let bytes = postcard::to_allocvec(value).map_err(|_| IpcError::InvalidMessage)?;
        if bytes.len() > MOST_BYTES {
            return Err(IpcError::InvalidMessage);
        }
        let label = bytes.len() as u32;
        let mut words: Vec<u64> = bytes.chunks(8).map(word).collect();
        if words.len() > MAX_WORDS {
            let memory = in_memory(&bytes)?;
            slots.insert(0, memory.slot());
            kept.push(memory.into_capability());
            words.clear();
        }
        let message = if words.len() <= REGISTER_WORDS {
            Message::new(label, &words)?
        } else {
            page()?.message(label, &words)?
        };
        Ok(Self { message, slots, _kept: kept })
    }

    /// What says that the question could not be read.
    pub(super) fn refusal() -> Self {
        let message = Message::new(REFUSED, &[]).unwrap_or_default();
        Self { message, slots: Vec::new(), _kept: Vec::new() }
    }

    /// Whether a message says that.
    pub(super) fn is_refusal(message: &Message) -> bool {
        *message == Self::refusal().message
    }

    /// The capabilities that it brings.
    pub(super) fn capabilities(&self) -> &[CapSlot] {
        &self.slots
    }
}

/// The value in a message that the thread has just received with `capabilities`; `None` where it is none. The memory that
/// the value came in is none of the capabilities any more.
pub(super) fn read<T: DeserializeOwned>(
    message: &Message,
    capabilities: &mut Vec<Capability>,
) -> Option<T> {
    let length = message.tag.label() as usize;
    if message.tag.words() * 8 >= length {
        let mut bytes: Vec<u8> = if message.tag.is_long() {
            page().ok()?.words(message).flat_map(u64::to_le_bytes).collect()
        } else {
            message.words().iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        bytes.truncate(length);
        return postcard::from_bytes(&bytes).ok();
    }
    if message.tag.words() > 0 || length > MOST_BYTES || capabilities.is_empty() {
        return None;
    }
    let memory = MemoryObject::from_slot(capabilities.remove(0).into_slot());
    let mapped = memory.map_read(length as u64).ok()?;
    // The sender may write there meanwhile: what is decoded is a copy.
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).ok()?;
    bytes.extend_from_slice(mapped.get(..length)?);
    postcard::from_bytes(&bytes).ok()
}

fn page() -> Result<MessagePage, IpcError> {
    MessagePage::of_thread().map_err(crate::endpoint::ipc_error)
}

fn in_memory(bytes: &[u8]) -> Result<MemoryObject, IpcError> {
    let fill = || {
        let memory = MemoryObject::create(bytes.len() as u64)?;
        memory.map_write(bytes.len() as u64)?[..bytes.len()].copy_from_slice(bytes);
        Ok(memory)
    };
    fill().map_err(crate::endpoint::ipc_error)
}

fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_value_stands_in_words() {
        let frame = Frame::lending(&(7_u8, "text".to_owned()), &[]).unwrap();
        assert_eq!((frame.message.tag.label(), frame.message.tag.words()), (6, 1));
        let found: (u8, String) = read(&frame.message, &mut Vec::new()).unwrap();
        assert_eq!(found, (7, "text".to_owned()));
    }

    #[test]
    fn what_is_no_value_is_none() {
        let read = |message: &Message| read::<(u64, String)>(message, &mut Vec::new());
        assert!(read(&Frame::refusal().message).is_none());
        assert!(read(&Message::new(64, &[u64::MAX; 8]).unwrap()).is_none());
        assert!(read(&Message::new(0, &[]).unwrap()).is_none());
        assert!(read(&Message::new(100, &[]).unwrap()).is_none(), "its memory is missing");
        assert!(read(&Message::new(100, &[1; 8]).unwrap()).is_none(), "words and no words");
    }
}
