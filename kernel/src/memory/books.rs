//! The books of physical memory: one record for each frame, outside of the frames. Nothing is ever
//! written to a free frame, and what a frame holds stays as it is while it stands in a list.
//!
//! | state | first link | second link |
//! |---|---|---|
//! | `INSIDE` | - | - |
//! | `FREE` + order | next free block of the order | previous one |
//! | `USED` | owners beyond the first | - |
//! | `USED` + order, from 1 on | - | - |
//! | `LISTED` | owners beyond the first | next frame of the list |
//! | `CACHED`, in debug builds | 0 | - |
//!
//! Free blocks are under the allocator's lock. The record of an allocated frame belongs to its
//! owners: one who shares it counts by an atomic operation, one who has it alone needs none.
#![forbid(unsafe_code)]

use core::sync::atomic::{
    AtomicU8, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed},
};

use super::frame::Frame;

/// Blocks have orders from 0 (one frame) to this (1 GiB).
pub const MAX_ORDER: usize = 18;

/// No frame: the end of a list. No books reach this number, so it also stands for all larger ones.
pub(super) const NONE: u32 = u32::MAX;

/// Not the allocator's, or within a block.
pub(super) const INSIDE: u8 = 0;
/// The first frame of a free block of order `state - FREE`.
pub(super) const FREE: u8 = 0x40;
/// The first frame of an allocated block of order `state - USED`.
pub(super) const USED: u8 = 0x80;
/// An allocated frame that stands in a [`FrameList`](super::FrameList).
pub(super) const LISTED: u8 = 0xc0;
/// A frame in a CPU's cache, where only debug builds tell it from an allocated one.
const CACHED: u8 = 0xc1;

/// How many bytes the books take for each frame.
pub const BYTES: usize = size_of::<Links>() + size_of::<AtomicU8>();

/// Two words of a frame's record; its state says what they are.
#[derive(Debug, Default)]
pub struct Links {
    first: AtomicU32,
    second: AtomicU32,
}

/// All records, by the frames' numbers from 0 on.
#[derive(Clone, Copy)]
pub struct Books<'a> {
    links: &'a [Links],
    states: &'a [AtomicU8],
}

impl<'a> Books<'a> {
    /// Books for the frames that both slices reach, which are zeroed.
    pub fn new(links: &'a [Links], states: &'a [AtomicU8]) -> Self {
        let frames = links.len().min(states.len()).min(NONE as usize);
        Self { links: &links[..frames], states: &states[..frames] }
    }

    /// How many frames have a record.
    pub fn frames(&self) -> u64 {
        self.states.len() as u64
    }

    /// What `frame` is to these books: [`NONE`] where they have no record for it.
    pub(super) fn number(&self, frame: Frame) -> u32 {
        if frame.number() < self.frames() { frame.number() as u32 } else { NONE }
    }

    /// A frame's state; [`INSIDE`] where it has no record.
    pub(super) fn state(&self, frame: u32) -> u8 {
        self.states.get(frame as usize).map_or(INSIDE, |state| state.load(Relaxed))
    }

    pub(super) fn set_state(&self, frame: u32, state: u8) {
        self.states[frame as usize].store(state, Relaxed);
    }

    pub(super) fn first(&self, frame: u32) -> u32 {
        self.links[frame as usize].first.load(Relaxed)
    }

    pub(super) fn set_first(&self, frame: u32, to: u32) {
        self.links[frame as usize].first.store(to, Relaxed);
    }

    pub(super) fn second(&self, frame: u32) -> u32 {
        self.links[frame as usize].second.load(Relaxed)
    }

    pub(super) fn set_second(&self, frame: u32, to: u32) {
        self.links[frame as usize].second.store(to, Relaxed);
    }

    /// Whether an allocated block of 2^`order` frames begins here.
    pub(super) fn is_block(&self, frame: u32, order: usize) -> bool {
        order <= MAX_ORDER && self.state(frame) == USED + order as u8
    }

    /// Whether this is an allocated frame. Debug builds panic where it is not.
    fn is_owned(&self, frame: u32, what: &str) -> bool {
        let owned = matches!(self.state(frame), USED | LISTED);
        debug_assert!(owned, "frame {frame:#x} is {what} and nobody's, or a block");
        owned
    }

    /// Notes that an allocated frame goes into a CPU's cache.
    ///
    /// # Panics
    /// In debug builds, when it is there already, is free, in a list or a block, or has other owners.
    pub(super) fn cache(&self, frame: Frame) {
        if cfg!(debug_assertions) {
            let number = self.number(frame);
            assert_eq!(self.state(number), USED, "{frame:?} was freed twice or wrongly");
            assert_eq!(self.first(number), 0, "{frame:?} was freed and has other owners");
            self.set_state(number, CACHED);
        }
    }

    /// Notes that a frame leaves a CPU's cache, allocated as before.
    pub(super) fn uncache(&self, frame: Frame) {
        if cfg!(debug_assertions) {
            let number = self.number(frame);
            assert_eq!(self.state(number), CACHED, "{frame:?} was in a cache and is not");
            self.set_state(number, USED);
        }
    }

    /// Makes the allocated block of 2^`order` frames as many allocated blocks of 2^`into`, with one owner
    /// each. It belongs to the caller. Debug builds panic where it is no such block, or a smaller one; others
    /// leave it.
    pub(super) fn split(&self, frame: Frame, order: usize, into: usize) {
        let first = self.number(frame);
        let is_block = self.is_block(first, order) && into <= order;
        debug_assert!(
            is_block,
            "frame {first:#x} is split as a block of order {order} into {into}"
        );
        if is_block {
            for part in (first..first + (1 << order)).step_by(1 << into) {
                self.set_first(part, 0);
                self.set_state(part, USED + into as u8);
            }
        }
    }

    /// Counts one more owner of `frame`. The caller is one.
    pub(super) fn share(&self, frame: Frame) {
        let frame = self.number(frame);
        if self.is_owned(frame, "shared") {
            self.links[frame as usize].first.fetch_add(1, Relaxed);
        }
    }

    /// Counts one owner less; whether that was the last.
    pub(super) fn unshare(&self, frame: Frame) -> bool {
        let frame = self.number(frame);
        if !self.is_owned(frame, "unshared") {
            return false;
        }
        let others = &self.links[frame as usize].first;
        // Alone, nobody can add another owner meanwhile: so no locked instruction is needed.
        if others.load(Acquire) == 0 {
            return true;
        }
        // What each owner has done to the frame happens before the last one goes on.
        let last = others.fetch_sub(1, AcqRel) == 0;
        if last {
            others.store(0, Relaxed);
        }
        last
    }

    /// How many owners `frame` has; none while it is not allocated, but that only debug builds know
    /// of one in a cache.
    pub(super) fn owners(&self, frame: Frame) -> u32 {
        let frame = self.number(frame);
        match self.state(frame) {
            USED | LISTED => self.links[frame as usize].first.load(Acquire) + 1,
            _ => 0,
        }
    }
}
