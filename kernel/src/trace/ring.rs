//! A ring of events: one CPU writes, any CPU reads meanwhile, and nobody waits.
//!
//! Each place says which event it has, and, while that is being written, that it has none: a reader looks before and
//! after, and takes nothing that was touched in between (a sequence lock; the fences are those of H.-J. Boehm, "Can
//! seqlocks get along with programming language memory models?", 2012).
#![forbid(unsafe_code)]

use alloc::vec::Vec;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

use orbital_abi::trace::EVENT_WORDS;

type Words = [u64; EVENT_WORDS];

/// A cache line.
#[repr(align(64))]
struct Place {
    /// The number of the event that is here, plus one; 0 while there is none.
    has: AtomicU64,
    words: [AtomicU64; EVENT_WORDS],
}

/// The ring.
pub struct Ring {
    places: Vec<Place>,
    /// How many events were written.
    count: AtomicU64,
}

impl Ring {
    /// An empty one for so many events, at least one, if there is memory for it.
    pub fn new(size: usize) -> Option<Self> {
        let mut places = Vec::new();
        places.try_reserve_exact(size).ok()?;
        places.resize_with(size, || Place {
            has: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; EVENT_WORDS],
        });
        Some(Self { places, count: AtomicU64::new(0) })
    }

    fn place(&self, number: u64) -> &Place {
        &self.places[(number % self.places.len() as u64) as usize]
    }

    /// Writes an event, over the oldest one where the ring is full. For the one CPU that does.
    pub fn push(&self, words: &Words) {
        let number = self.count.load(Relaxed);
        let place = self.place(number);
        place.has.store(0, Relaxed);
        // Whoever sees one of the words sees that, too.
        fence(Release);
        for (place, word) in place.words.iter().zip(words) {
            place.store(*word, Relaxed);
        }
        place.has.store(number + 1, Release);
        self.count.store(number + 1, Release);
    }

    /// How many events were written.
    pub fn count(&self) -> u64 {
        self.count.load(Acquire)
    }

    /// The first event from `number` on that is there, and its number; `None` where it is not written yet.
    pub fn read(&self, number: u64) -> Option<(u64, Words)> {
        let mut number = number;
        loop {
            let count = self.count();
            if number >= count {
                return None;
            }
            number = number.max(count.saturating_sub(self.places.len() as u64));
            if let Some(words) = self.place(number).get(number) {
                return Some((number, words));
            }
            // It was overwritten just now.
            number += 1;
        }
    }
}

impl Place {
    /// The event with this number, if it is here and stays so.
    fn get(&self, number: u64) -> Option<Words> {
        if self.has.load(Acquire) != number + 1 {
            return None;
        }
        let words = self.words.each_ref().map(|word| word.load(Relaxed));
        fence(Acquire);
        (self.has.load(Relaxed) == number + 1).then_some(words)
    }
}
