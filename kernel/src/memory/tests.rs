//! Tests of the frame allocator on the host: single cases here, random ones against a naive model
//! in [`model`].
#![forbid(unsafe_code)]

mod blocks;
mod cache;
mod list;
mod model;

use core::{ops::Range, sync::atomic::AtomicU8};

use super::{
    allocate_frame,
    books::{Books, Links, MAX_ORDER},
    buddy::FrameAllocator,
    frame::Frame,
    free_frame, free_frames, total_frames,
};
use crate::arch::host::machine;

const PAGE: u64 = 4096;

/// Room for books.
struct Room((Vec<Links>, Vec<AtomicU8>));

impl Room {
    /// Fresh, for so many frames.
    fn new(frames: u64) -> Self {
        Self((0..frames).map(|_| Default::default()).unzip())
    }

    fn books(&self) -> Books<'_> {
        Books::new(&self.0.0, &self.0.1)
    }
}

/// Calls `f` with an allocator of these frames.
fn with<R>(frames: &[Range<u64>], f: impl FnOnce(&mut FrameAllocator<'_>) -> R) -> R {
    let highest = frames.iter().map(|range| range.end).max().unwrap_or(0);
    let room = Room::new(highest);
    let regions = frames.iter().map(|range| range.start * PAGE..range.end * PAGE);
    f(&mut FrameAllocator::new(room.books(), regions))
}

/// The same with one region.
fn with_one<R>(frames: Range<u64>, f: impl FnOnce(&mut FrameAllocator<'_>) -> R) -> R {
    with(core::slice::from_ref(&frames), f)
}

#[test]
fn frame_allocator_works() {
    let _machine = machine();
    let (free, total) = (free_frames(), total_frames());
    assert!(free > 0 && free <= total);
    let frames: Vec<Frame> = (0..100).map(|_| allocate_frame().unwrap()).collect();
    assert_eq!(free_frames(), free - 100);
    assert_eq!(total_frames(), total, "what is in use still counts");
    let mut sorted = frames.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), frames.len(), "a frame was given twice");
    for frame in frames {
        free_frame(frame);
    }
    assert_eq!(free_frames(), free);
}

#[test]
fn an_allocator_of_nothing_gives_nothing() {
    with(&[], |frames| {
        assert_eq!((frames.allocate(0), frames.free_frames(), frames.total_frames()), (None, 0, 0));
    });
}

#[test]
fn the_last_frame_is_given_and_then_none() {
    with_one(3..10, |frames| {
        let mut given: Vec<u64> =
            core::iter::from_fn(|| frames.allocate(0)).map(Frame::number).collect();
        given.sort();
        assert_eq!(given, Vec::from_iter(3..10));
        assert_eq!(frames.free_frames(), 0);
        assert_eq!(frames.allocate(0), None, "it stays exhausted");
        frames.free(Frame::new(5), 0);
        assert_eq!(frames.allocate(0), Some(Frame::new(5)));
    });
}

#[test]
fn a_region_that_starts_and_ends_anywhere_is_used_whole() {
    // Largest aligned blocks of 3..30: 1 + 4 + 8 + 8 + 4 + 2.
    for order in [0, 1, 2, 3] {
        let blocks =
            with_one(3..30, |frames| core::iter::from_fn(|| frames.allocate(order)).count());
        let size = 1_u64 << order;
        let whole = 30 / size - 3_u64.div_ceil(size);
        assert_eq!(blocks as u64, whole, "order {order}");
    }
}

#[test]
fn blocks_are_aligned_to_their_size() {
    with_one(0..4096, |frames| {
        for order in [3, 0, 5, 1, 8, 2] {
            let block = frames.allocate(order).unwrap();
            assert!(block.number().is_multiple_of(1 << order), "{block:?}, order {order}");
        }
    });
}

#[test]
fn what_comes_back_joins_with_its_buddy() {
    with_one(0..1024, |frames| {
        let all: Vec<Frame> = core::iter::from_fn(|| frames.allocate(0)).collect();
        assert_eq!(frames.allocate(10), None);
        // Even ones first, so that no two neighbours are free until the second half.
        let (even, odd): (Vec<Frame>, Vec<Frame>) = all.iter().partition(|f| f.number() % 2 == 0);
        for frame in even {
            frames.free(frame, 0);
        }
        assert_eq!(frames.allocate(1), None, "no two of them are buddies");
        for frame in odd {
            frames.free(frame, 0);
        }
        assert_eq!(frames.allocate(10), Some(Frame::new(0)), "one block again");
    });
}

#[test]
fn neighbours_that_are_no_buddies_do_not_join() {
    with_one(1..3, |frames| {
        assert_eq!(frames.allocate(1), None, "1 and 2 are no aligned pair");
        assert!(frames.allocate(0).is_some() && frames.allocate(0).is_some());
        frames.free(Frame::new(1), 0);
        frames.free(Frame::new(2), 0);
        assert_eq!(frames.allocate(1), None);
    });
}

#[test]
fn a_gap_between_regions_belongs_to_nobody() {
    with(&[0..4, 8..16], |frames| {
        let given: Vec<u64> =
            core::iter::from_fn(|| frames.allocate(0)).map(Frame::number).collect();
        assert!(given.iter().all(|frame| !(4..8).contains(frame)));
        for frame in given {
            frames.free(Frame::new(frame), 0);
        }
        assert_eq!(frames.allocate(4), None, "0..16 has a hole");
        assert_eq!(frames.allocate(3), Some(Frame::new(8)));
    });
}

#[test]
fn the_largest_block_is_a_gibibyte() {
    let frames = 3 << MAX_ORDER;
    with_one(0..frames, |frames| {
        assert_eq!(core::iter::from_fn(|| frames.allocate(MAX_ORDER)).count(), 3);
        assert_eq!(frames.free_frames(), 0);
        frames.free(Frame::new(0), MAX_ORDER);
        frames.free(Frame::new(1 << MAX_ORDER), MAX_ORDER);
        assert_eq!(frames.allocate(MAX_ORDER + 1), None, "they never join further");
        assert!(frames.allocate(MAX_ORDER).is_some());
    });
}

#[test]
fn an_order_that_does_not_exist_is_refused() {
    with_one(0..64, |frames| {
        assert_eq!(frames.allocate(MAX_ORDER + 1), None);
        assert_eq!(frames.allocate(usize::MAX), None);
        assert_eq!(frames.free_frames(), 64);
    });
}

#[test]
fn frames_that_have_no_books_are_left_out() {
    let room = Room::new(10);
    let mut frames = FrameAllocator::new(room.books(), core::iter::once(4 * PAGE..1000 * PAGE));
    assert_eq!(frames.total_frames(), 6);
    assert_eq!(core::iter::from_fn(|| frames.allocate(0)).map(Frame::number).max(), Some(9));
}

/// Frees twice or otherwise wrongly. Debug builds panic; others must leave the books alone.
fn wrong_free(f: impl FnOnce(&mut FrameAllocator<'_>)) {
    with_one(0..64, |frames| {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f(frames)));
        assert_eq!(result.is_err(), cfg!(debug_assertions));
        let free = frames.free_frames();
        assert_eq!(core::iter::from_fn(|| frames.allocate(0)).count() as u64, free);
    });
}

#[test]
fn a_double_free_is_caught() {
    wrong_free(|frames| {
        let frame = frames.allocate(0).unwrap();
        frames.free(frame, 0);
        frames.free(frame, 0);
    });
}

#[test]
fn a_double_free_is_caught_even_where_the_block_has_joined_another() {
    wrong_free(|frames| {
        let (first, second) = (frames.allocate(0).unwrap(), frames.allocate(0).unwrap());
        frames.free(first, 0);
        frames.free(second, 0);
        frames.free(second, 0);
    });
}

#[test]
fn another_order_than_was_allocated_is_caught() {
    wrong_free(|frames| {
        let block = frames.allocate(2).unwrap();
        frames.free(block, 1);
    });
}

#[test]
fn the_middle_of_a_block_can_not_be_freed() {
    wrong_free(|frames| {
        let block = frames.allocate(2).unwrap();
        frames.free(Frame::new(block.number() + 1), 0);
    });
}

#[test]
fn a_frame_that_was_never_the_allocators_is_caught() {
    wrong_free(|frames| frames.free(Frame::new(1 << 20), 0));
}

#[test]
fn a_frame_behind_the_numbers_that_books_can_hold_is_caught() {
    wrong_free(|frames| {
        let frame = frames.allocate(0).unwrap();
        frames.free(Frame::new(frame.number() + (1 << 32)), 0);
    });
}
