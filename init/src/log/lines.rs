//! The lines that are kept.
#![forbid(unsafe_code)]

use alloc::{collections::VecDeque, vec::Vec};

use crate::protocol::log::Line;

/// How many lines.
const MOST_LINES: usize = 2000;
/// How many bytes an answer's texts have at most: so it fits into a message's memory with all else.
const MOST_BYTES: usize = 512 << 10;

/// The latest lines, the oldest first. Their numbers grow, and some may be missing.
#[derive(Debug, Default)]
pub(super) struct Lines(VecDeque<Line>);

impl Lines {
    /// None.
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// One more.
    pub(super) fn push(&mut self, line: Line) {
        if self.0.len() == MOST_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    /// The number behind the last one's.
    pub(super) fn end(&self) -> u64 {
        self.0.back().map_or(0, |line| line.position + 1)
    }

    /// The latest, at most so many.
    pub(super) fn latest(&self, most: u32) -> Vec<Line> {
        let first = self.0.len().saturating_sub(most as usize);
        let mut bytes = 0;
        let fits = |line: &&Line| {
            bytes += line.text.len();
            bytes <= MOST_BYTES
        };
        // What does not fit are the oldest.
        let mut lines: Vec<_> = self.0.range(first..).rev().take_while(fits).cloned().collect();
        lines.reverse();
        lines
    }

    /// Those from this number on, at most so many.
    pub(super) fn from(&self, position: u64, most: u32) -> Vec<Line> {
        let first = self.0.partition_point(|line| line.position < position);
        let mut bytes = 0;
        let fits = |line: &&Line| {
            bytes += line.text.len();
            bytes <= MOST_BYTES
        };
        self.0.range(first..).take(most as usize).take_while(fits).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;

    fn lines(positions: impl IntoIterator<Item = u64>, bytes: usize) -> Lines {
        let mut lines = Lines::new();
        let text = String::from_utf8(alloc::vec![b'x'; bytes]).unwrap();
        positions
            .into_iter()
            .for_each(|position| lines.push(Line { position, text: text.clone() }));
        lines
    }

    fn numbers(lines: Vec<Line>) -> Vec<u64> {
        lines.into_iter().map(|line| line.position).collect()
    }

    #[test]
    fn the_latest_come_oldest_first() {
        let lines = lines([3, 4, 7, 9], 1);
        assert_eq!(numbers(lines.latest(2)), [7, 9]);
        assert_eq!(numbers(lines.latest(u32::MAX)), [3, 4, 7, 9]);
        assert_eq!((numbers(lines.latest(0)), lines.end()), ([].into(), 10));
        assert_eq!(Lines::new().end(), 0);
    }

    #[test]
    fn reading_goes_on_from_a_number_though_some_are_missing() {
        let lines = lines([3, 4, 7, 9], 1);
        assert_eq!(numbers(lines.from(0, 2)), [3, 4]);
        assert_eq!(numbers(lines.from(5, 9)), [7, 9]);
        assert_eq!(numbers(lines.from(10, 9)), []);
    }

    #[test]
    fn two_thousand_are_kept_and_an_answer_is_bounded() {
        let many = lines(0..2500, 1);
        assert_eq!(numbers(many.latest(u32::MAX)), (500..2500).collect::<Vec<_>>());
        let long = lines(0..2000, 500);
        let most = MOST_BYTES / 500;
        assert_eq!(long.latest(u32::MAX).len(), most);
        assert_eq!(numbers(long.latest(u32::MAX)).last(), Some(&1999));
        assert_eq!(numbers(long.from(0, u32::MAX)), (0..most as u64).collect::<Vec<_>>());
    }
}
