//! Where a program's text goes: to the server that its creator named [`OUTPUT`], for programs that a person runs; else into
//! the system's log.
//!
//! A line is a call, encoded as [`rpc`](crate::rpc) encodes [`Output`], but without its heap: who has no memory left can
//! still say so. A server that ends over it may be started anew at the same endpoint, and gets the line again.
#![forbid(unsafe_code)]

use alloc::string::String;
use core::mem::ManuallyDrop;

use orbital_abi::{IpcError, Message, message::REGISTER_WORDS};
use serde::{Deserialize, Serialize};

use crate::{endpoint::Endpoint, message_page::MessagePage, start::bootstrap};

/// The name under which a creator hands over an endpoint for text, with the right `SEND`.
pub const OUTPUT: &str = "output";

/// What such a server is asked; it answers with `()`. Its own questions may have more cases, behind this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Show this text, which is whole lines.
    Write(String),
}

/// How often a line is sent to a server that ends over it.
const TRIES: u32 = 3;
/// The most bytes of a line.
pub(crate) const LINE_BYTES: usize = orbital_abi::arguments::LOG_BYTES;
/// A line as [`Output::Write`]: the case's number, the length in up to two bytes, the line and its end.
const ENCODED_WORDS: usize = (3 + LINE_BYTES + 1).div_ceil(8);

/// Sends a line of up to [`LINE_BYTES`] bytes to the program's output. Whether it has one that took it.
pub(crate) fn write_line(line: &[u8]) -> bool {
    let block = bootstrap();
    let Some(place) = block.place_of(OUTPUT) else { return false };
    let endpoint = ManuallyDrop::new(Endpoint::from_slot(block.granted[place]));
    let (words, length) = encode(line);
    let words = &words[..length.div_ceil(8)];
    (0..TRIES)
        .map(|_| call(&endpoint, length as u32, words))
        .find(|result| !matches!(result, Err(IpcError::PeerGone)))
        .is_some_and(|result| result.is_ok())
}

/// Makes the call. Whoever prints in the middle of other messages finds its message page as it was.
fn call(endpoint: &Endpoint, label: u32, words: &[u64]) -> Result<(), IpcError> {
    if words.len() <= REGISTER_WORDS {
        return endpoint.call(&Message::new(label, words)?).map(|_| ());
    }
    let page = MessagePage::of_thread().map_err(crate::endpoint::ipc_error)?;
    let used = &page.entries()[REGISTER_WORDS..words.len()];
    let mut kept = [0; ENCODED_WORDS];
    kept.iter_mut().zip(used).for_each(|(word, entry)| *word = entry.get());
    let result = endpoint.call(&page.message(label, words)?);
    used.iter().zip(kept).for_each(|(entry, word)| entry.set(word));
    result.map(|_| ())
}

/// The call's words, and how many bytes of them count.
fn encode(line: &[u8]) -> ([u64; ENCODED_WORDS], usize) {
    let mut words = [0; ENCODED_WORDS];
    let mut length = 0;
    let mut push = |byte: u8| {
        words[length / 8] |= u64::from(byte) << (length % 8 * 8);
        length += 1;
    };
    push(0);
    // The length in groups of seven bits, the lowest first; each but the last has the top bit set.
    let bytes = line.len() + 1;
    if bytes < 0x80 {
        push(bytes as u8);
    } else {
        push(bytes as u8 | 0x80);
        push((bytes >> 7) as u8);
    }
    line.iter().copied().chain([b'\n']).for_each(&mut push);
    (words, length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_encoded_as_a_typed_call_is() {
        for length in [0, 1, 5, 61, 62, 126, 127, 128, LINE_BYTES] {
            let line = "x".repeat(length);
            let (words, bytes) = encode(line.as_bytes());
            let encoded: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let expected = postcard::to_allocvec(&Output::Write(line + "\n")).unwrap();
            assert_eq!(encoded[..bytes], expected, "{length}");
            assert!(encoded[bytes..].iter().all(|byte| *byte == 0));
        }
    }
}
