//! What was typed and nobody has read yet.
#![forbid(unsafe_code)]

use alloc::{collections::VecDeque, vec::Vec};

/// The most bytes that are kept: a line or two, typed ahead.
pub const MOST: usize = 1024;

/// Typed bytes, the oldest first. Where nobody reads, the oldest are lost.
#[derive(Debug, Default)]
pub struct Input(VecDeque<u8>);

impl Input {
    /// Nothing, with room for all that is ever kept.
    pub fn new() -> Self {
        Self(VecDeque::with_capacity(MOST))
    }

    /// A byte was typed.
    pub fn push(&mut self, byte: u8) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(byte);
    }

    /// These were taken, and their reader is gone: they come before all others, as far as there is room.
    pub fn put_back(&mut self, bytes: &[u8]) {
        let room = MOST - self.0.len();
        for byte in bytes.iter().rev().take(room) {
            self.0.push_front(*byte);
        }
    }

    /// Takes all; `None` where there is nothing.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        (!self.0.is_empty()).then(|| self.0.drain(..).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(bytes: impl IntoIterator<Item = u8>) -> Input {
        let mut input = Input::new();
        bytes.into_iter().for_each(|byte| input.push(byte));
        input
    }

    #[test]
    fn what_is_typed_is_taken_once() {
        let mut input = typed(*b"abc");
        assert_eq!(input.take().as_deref(), Some(&b"abc"[..]));
        assert_eq!(input.take(), None);
    }

    #[test]
    fn the_oldest_are_lost() {
        let mut input = typed((0..MOST + 3).map(|number| number as u8));
        let taken = input.take().unwrap();
        assert_eq!((taken.len(), taken[0], *taken.last().unwrap()), (MOST, 3, 2));
    }

    #[test]
    fn what_is_put_back_comes_first() {
        let mut input = typed(*b"c");
        input.put_back(b"ab");
        assert_eq!(input.take().as_deref(), Some(&b"abc"[..]));
    }

    #[test]
    fn what_is_put_back_never_displaces_what_is_newer() {
        let mut input = typed((1..MOST).map(|_| b'n'));
        input.put_back(b"xy");
        let taken = input.take().unwrap();
        assert_eq!((taken.len(), &taken[..2]), (MOST, &b"yn"[..]));
    }
}
