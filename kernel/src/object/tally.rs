//! How table entries are counted that name an object: all of them, and those by which something can be received, in one
//! number, so that one instruction counts both.
//!
//! | bits | what |
//! |---|---|
//! | 0–31 | all |
//! | 32–63 | those with `RECEIVE` |
#![forbid(unsafe_code)]

use core::ops::AddAssign;

/// A number of table entries that name an object. Each takes 48 bytes, so there are less than 2^32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally(u64);

const RECEIVERS_SHIFT: u32 = u32::BITS;

impl Tally {
    /// One entry, by which something can be received or not.
    #[inline]
    pub const fn one(receives: bool) -> Self {
        Self(1 | (receives as u64) << RECEIVERS_SHIFT)
    }

    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// How many there are.
    pub const fn count(self) -> usize {
        self.0 as u32 as usize
    }

    /// How many of them may receive.
    pub const fn receivers(self) -> usize {
        (self.0 >> RECEIVERS_SHIFT) as usize
    }

    /// Whether there are no more when `last`, which are some of these, go; or some of `last` may receive, and no others.
    #[inline]
    pub(super) const fn ends_with(self, last: Self) -> bool {
        match last.receivers() {
            0 => self.0 == last.0,
            receivers => self.receivers() == receivers,
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(all: usize, receivers: usize) -> Tally {
        let mut entries = Tally::default();
        for number in 0..all {
            entries += Tally::one(number < receivers);
        }
        entries
    }

    #[test]
    fn both_are_counted() {
        for (all, receivers) in [(0, 0), (1, 0), (1, 1), (5, 0), (5, 2), (5, 5)] {
            let entries = some(all, receivers);
            assert_eq!((entries.count(), entries.receivers()), (all, receivers));
        }
    }

    #[test]
    fn the_last_ones_are_known() {
        for (before, last, ends) in [
            ((1, 0), (1, 0), true),
            ((1, 1), (1, 1), true),
            ((2, 0), (1, 0), false),
            ((2, 1), (1, 1), true),
            ((2, 1), (1, 0), false),
            ((2, 2), (1, 1), false),
            ((2, 2), (2, 2), true),
            ((5, 2), (3, 2), true),
            ((5, 2), (3, 1), false),
            ((5, 2), (3, 0), false),
            ((3, 0), (3, 0), true),
        ] {
            let [from, of] = [before, last].map(|(all, receivers)| some(all, receivers));
            assert_eq!(from.ends_with(of), ends, "{last:?} of {before:?}");
        }
    }
}
