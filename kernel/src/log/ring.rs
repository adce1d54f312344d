//! The latest lines, for whoever reads the log: numbered from 0, each whole or not there at all.
//!
//! A line takes a place in a table, and its module and text as many bytes as they have of a ring. Where either is full,
//! the oldest lines go. So a line is found by its number in one step, and what it takes to write one is bounded.
//!
//! **Locks.** It stands under one lock, under which nothing is done but copying: no other lock is taken, and nobody
//! called. Handlers that write lines come only where none is held. Non-maskable interrupts write none
//! ([`Deferred`](super::Deferred)), and a panic's lines are on the serial port alone.
#![forbid(unsafe_code)]

use orbital_abi::log::{LINE_BYTES, LineHead, LogLevel};
use spin::Mutex;

/// Bytes of all lines that are kept.
const BYTES: usize = 64 * 1024;
/// How many they can be.
const LINES: usize = 1024;

/// The log's.
static LATEST: Mutex<Ring<BYTES, LINES>> = Mutex::new(Ring::new());

/// Where a line is. All zero while there was none, so that the kernel's image need not have it.
#[derive(Clone, Copy)]
struct Place {
    head: [u64; 3],
    /// Its first byte.
    start: usize,
}

/// So many lines at most, of so many bytes at most, which are not less than a line's.
pub(super) struct Ring<const BYTES: usize, const LINES: usize> {
    bytes: [u8; BYTES],
    places: [Place; LINES],
    /// The number of the oldest line.
    first: u64,
    /// The number of the next one.
    next: u64,
    /// Where its bytes will begin.
    end: usize,
    /// How many bytes there are.
    used: usize,
}

/// A line that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// What it is.
    pub head: LineHead,
    bytes: [u8; LINE_BYTES],
}

impl Read {
    /// What it says: module and text, one behind the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..length(&self.head)]
    }

    /// The same as words, the last one filled up with zeroes.
    pub fn words(&self) -> impl Iterator<Item = u64> {
        let words = self.bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        words.take(length(&self.head).div_ceil(8))
    }
}

fn length(head: &LineHead) -> usize {
    usize::from(head.module_bytes) + usize::from(head.text_bytes)
}

impl<const BYTES: usize, const LINES: usize> Ring<BYTES, LINES> {
    pub(super) const fn new() -> Self {
        const { assert!(BYTES >= LINE_BYTES && LINES > 0) };
        Self {
            bytes: [0; BYTES],
            places: [Place { head: [0; 3], start: 0 }; LINES],
            first: 0,
            next: 0,
            end: 0,
            used: 0,
        }
    }

    fn place(number: u64) -> usize {
        (number % LINES as u64) as usize
    }

    fn head(&self, number: u64) -> Option<LineHead> {
        LineHead::from_words(self.places[Self::place(number)].head)
    }

    /// Takes the oldest line away.
    fn forget_first(&mut self) {
        self.used -= self.head(self.first).map_or(0, |head| length(&head));
        self.first += 1;
    }

    /// Writes a line, and over as many of the oldest as that needs. Module and text are together as long as a line can
    /// be, at most.
    pub(super) fn push(&mut self, time: u64, cpu: u8, level: LogLevel, module: &str, text: &str) {
        let [module_bytes, text_bytes] = [module, text].map(|part| part.len() as u16);
        let head = LineHead { position: self.next, time, cpu, level, module_bytes, text_bytes };
        while self.next - self.first >= LINES as u64 || self.used + length(&head) > BYTES {
            self.forget_first();
        }
        self.places[Self::place(self.next)] = Place { head: head.to_words(), start: self.end };
        for part in [module, text] {
            self.append(part.as_bytes());
        }
        self.used += length(&head);
        self.next += 1;
    }

    fn append(&mut self, part: &[u8]) {
        let (first, rest) = part.split_at(part.len().min(BYTES - self.end));
        self.bytes[self.end..][..first.len()].copy_from_slice(first);
        self.bytes[..rest.len()].copy_from_slice(rest);
        self.end = (self.end + part.len()) % BYTES;
    }

    /// The line with this number, or the first behind it that is there.
    pub(super) fn read(&self, number: u64) -> Option<Read> {
        let number = number.max(self.first);
        if number >= self.next {
            return None;
        }
        let head = self.head(number)?;
        let start = self.places[Self::place(number)].start;
        let (length, mut bytes) = (length(&head), [0; LINE_BYTES]);
        let first = length.min(BYTES - start);
        bytes[..first].copy_from_slice(&self.bytes[start..][..first]);
        bytes[first..length].copy_from_slice(&self.bytes[..length - first]);
        Some(Read { head, bytes })
    }
}

/// Keeps a line.
pub(super) fn push(time: u64, cpu: u8, level: LogLevel, module: &str, text: &str) {
    LATEST.lock().push(time, cpu, level, module, text);
}

/// The line with the number `position`, or the first behind it that was not overwritten; `None` where there is none
/// yet.
pub fn read(position: u64) -> Option<Read> {
    LATEST.lock().read(position)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn text(read: &Read) -> (&str, &str) {
        let text = core::str::from_utf8(read.bytes()).unwrap();
        text.split_at(read.head.module_bytes.into())
    }

    #[test]
    fn lines_are_read_by_their_numbers() {
        let mut ring = Ring::<LINE_BYTES, 4>::new();
        assert_eq!(ring.read(0), None);
        for number in 0..10 {
            ring.push(number * 10, number as u8, LogLevel::Warn, "boot", &format!("n{number}"));
            assert_eq!(ring.read(number + 1), None);
            let read = ring.read(number).unwrap();
            assert_eq!(text(&read), ("boot", &*format!("n{number}")));
            let LineHead { position, time, cpu, level, .. } = read.head;
            assert_eq!((position, time, cpu), (number, number * 10, number as u8));
            assert_eq!(level, LogLevel::Warn);
            assert_eq!(ring.read(0).unwrap().head.position, number.saturating_sub(3));
        }
        assert_eq!(ring.read(u64::MAX), None);
    }

    #[test]
    fn what_it_says_is_words_too() {
        let mut ring = Ring::<LINE_BYTES, 1>::new();
        ring.push(0, 0, LogLevel::Info, "", "");
        assert_eq!(ring.read(0).unwrap().words().count(), 0);
        ring.push(0, 0, LogLevel::Info, "ab", "cdefghi");
        let words: Vec<_> = ring.read(0).unwrap().words().collect();
        assert_eq!(words, [u64::from_le_bytes(*b"abcdefgh"), b'i'.into()]);
        ring.push(0, 0, LogLevel::Info, "", &"x".repeat(LINE_BYTES));
        assert_eq!(ring.read(0).unwrap().words().count(), LINE_BYTES / 8);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Against a queue: the latest lines are there, whole, as many as there is room for.
        #[test]
        fn it_has_the_latest_that_fit(lengths in prop::collection::vec((0..9_usize, 0..504_usize), 0..60)) {
            let mut ring = Ring::<1000, 7>::new();
            let mut model = VecDeque::new();
            for (number, (module, length)) in lengths.into_iter().enumerate() {
                let (module, line) = ("m".repeat(module), format!("{:é<1$}", number, length / 2));
                let line = if line.len() > 504 { "é".repeat(252) } else { line };
                ring.push(0, 0, LogLevel::Info, &module, &line);
                model.push_back((number as u64, module, line));
                let all = |model: &VecDeque<(u64, String, String)>| -> usize {
                    model.iter().map(|(_, module, line)| module.len() + line.len()).sum()
                };
                while model.len() > 7 || all(&model) > 1000 {
                    model.pop_front();
                }
                let mut next = 0;
                for (number, module, line) in &model {
                    let read = ring.read(next).unwrap();
                    prop_assert_eq!(read.head.position, *number);
                    prop_assert_eq!(text(&read), (&**module, &**line));
                    next = number + 1;
                }
                prop_assert_eq!(ring.read(next), None);
            }
        }
    }
}
