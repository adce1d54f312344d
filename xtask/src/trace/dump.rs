//! What the kernel has written to the debug console.
#![forbid(unsafe_code)]

use orbital_abi::trace::{DUMP_MAGIC, EVENT_WORDS, Event};

const EVENT_BYTES: usize = 8 * EVENT_WORDS;

/// The events of a dump. What stands before it is somebody else's, and an event that is cut off at the end is left out,
/// as are kinds that are not known. `None` where there is no dump.
pub fn read(bytes: &[u8]) -> Option<Vec<Event>> {
    let start = bytes.windows(DUMP_MAGIC.len()).position(|window| *window == DUMP_MAGIC)?;
    let (events, _) = bytes[start + DUMP_MAGIC.len()..].as_chunks::<EVENT_BYTES>();
    Some(events.iter().filter_map(event).collect())
}

fn event(bytes: &[u8; EVENT_BYTES]) -> Option<Event> {
    let (words, _) = bytes.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
    Event::decode(&std::array::from_fn(|_| words.next().unwrap_or_default()))
}
