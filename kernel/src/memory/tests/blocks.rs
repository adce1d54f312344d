//! Blocks that are split, and frames with several owners.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Frame, Range, Room};
use crate::memory::{
    books::{Books, LISTED},
    buddy::FrameAllocator,
};

/// An allocator of these frames and its books.
fn with<R>(frames: Range<u64>, f: impl FnOnce(&mut FrameAllocator<'_>, Books<'_>) -> R) -> R {
    let room = Room::new(frames.end);
    let region = frames.start * super::PAGE..frames.end * super::PAGE;
    f(&mut FrameAllocator::new(room.books(), core::iter::once(region)), room.books())
}

/// Does what nobody may. Debug builds panic; others must leave the books alone.
fn wrong(f: impl FnOnce(&mut FrameAllocator<'_>, Books<'_>)) {
    with(0..64, |frames, books| {
        let result = catch_unwind(AssertUnwindSafe(|| f(frames, books)));
        assert_eq!(result.is_err(), cfg!(debug_assertions));
        let free = frames.free_frames();
        assert_eq!(core::iter::from_fn(|| frames.allocate(0)).count() as u64, free);
    });
}

#[test]
fn a_block_that_is_split_goes_back_frame_by_frame() {
    for order in 0..=9 {
        with(0..1024, |frames, books| {
            let block = frames.allocate(order).unwrap().number();
            books.split(Frame::new(block), order, 0);
            let parts = block..block + (1 << order);
            assert_eq!(frames.free_frames(), 1024 - (1 << order), "it is still the caller's");
            for part in parts.clone() {
                assert_eq!(books.owners(Frame::new(part)), 1);
                frames.free(Frame::new(part), 0);
            }
            assert_eq!(frames.free_frames(), 1024);
            assert_eq!(frames.allocate(10), Some(Frame::new(0)), "one block again");
        });
    }
}

#[test]
fn a_part_of_a_split_block_can_stay_while_others_go() {
    with(0..16, |frames, books| {
        let block = frames.allocate(4).unwrap();
        books.split(block, 4, 0);
        (0..16).filter(|part| *part != 5).for_each(|part| frames.free(Frame::new(part), 0));
        assert_eq!(frames.allocate(3), Some(Frame::new(8)));
        assert_eq!(frames.allocate(2), Some(Frame::new(0)));
        assert_eq!(frames.allocate(1), Some(Frame::new(6)));
        assert_eq!(frames.allocate(0), Some(Frame::new(4)));
        assert_eq!(frames.allocate(0), None, "5 is the caller's");
    });
}

#[test]
fn a_block_is_split_into_smaller_ones_and_these_again() {
    with(0..64, |frames, books| {
        let block = frames.allocate(6).unwrap();
        books.split(block, 6, 3);
        books.split(Frame::new(8), 3, 0);
        assert_eq!(frames.free_frames(), 0, "all is still the caller's");
        for part in [0, 16, 24, 32, 40, 48, 56].map(Frame::new) {
            assert_eq!(books.owners(part), 0, "a block");
            frames.free(part, 3);
        }
        assert_eq!(
            (frames.allocate(5), frames.allocate(4)),
            (Some(Frame::new(32)), Some(Frame::new(16)))
        );
        for part in (8..16).map(Frame::new) {
            assert_eq!(books.owners(part), 1);
            frames.free(part, 0);
        }
        assert_eq!(frames.allocate(4), Some(Frame::new(0)));
    });
}

#[test]
fn a_split_into_larger_blocks_is_caught() {
    wrong(|frames, books| {
        let block = frames.allocate(3).unwrap();
        books.split(block, 3, 4);
    });
}

#[test]
fn a_split_of_another_order_is_caught() {
    wrong(|frames, books| {
        let block = frames.allocate(3).unwrap();
        books.split(block, 2, 0);
    });
}

#[test]
fn a_split_of_what_is_free_is_caught() {
    wrong(|_, books| books.split(Frame::new(0), 6, 0));
}

#[test]
fn a_split_of_an_order_that_does_not_exist_is_caught() {
    wrong(|frames, books| {
        let block = frames.allocate(3).unwrap();
        // As a number this order and the state of an allocated block make that of a listed frame.
        books.split(block, 0x40, 0);
    });
}

#[test]
fn an_order_that_does_not_exist_can_not_be_freed() {
    wrong(|frames, books| {
        let frame = frames.allocate(0).unwrap();
        books.set_state(frame.number() as u32, LISTED);
        frames.free(frame, 0x40);
    });
}

#[test]
fn a_second_split_is_caught() {
    wrong(|frames, books| {
        let block = frames.allocate(3).unwrap();
        books.split(block, 3, 0);
        books.split(block, 3, 0);
    });
}

#[test]
fn a_split_block_can_not_be_freed_whole() {
    wrong(|frames, books| {
        let block = frames.allocate(3).unwrap();
        books.split(block, 3, 0);
        frames.free(block, 3);
    });
}

#[test]
fn a_frame_belongs_to_its_last_owner() {
    with(0..4, |frames, books| {
        let frame = frames.allocate(0).unwrap();
        assert_eq!(books.owners(frame), 1);
        for owners in 2..100 {
            books.share(frame);
            assert_eq!(books.owners(frame), owners);
        }
        for owners in (1..99).rev() {
            assert!(!books.unshare(frame));
            assert_eq!(books.owners(frame), owners);
        }
        assert!(books.unshare(frame));
        assert_eq!(books.owners(frame), 1, "it can be kept");
        books.share(frame);
        assert!(!books.unshare(frame) && books.unshare(frame));
        frames.free(frame, 0);
        assert_eq!((books.owners(frame), frames.free_frames()), (0, 4));
        assert_eq!(books.owners(frames.allocate(0).unwrap()), 1, "anew");
    });
}

#[test]
fn one_of_several_threads_is_the_last_owner() {
    with(0..1, |frames, books| {
        let frame = frames.allocate(0).unwrap();
        for _ in 0..200 {
            (0..3).for_each(|_| books.share(frame));
            let unshare = || (0..2).filter(|_| books.unshare(frame)).count();
            let last: usize = std::thread::scope(|scope| {
                let other = scope.spawn(unshare);
                unshare() + other.join().unwrap()
            });
            assert_eq!((last, books.owners(frame)), (1, 1));
        }
    });
}

#[test]
fn blocks_and_what_is_free_have_no_owners_to_count() {
    with(0..64, |frames, books| {
        let block = frames.allocate(2).unwrap();
        let inside = Frame::new(block.number() + 1);
        for nobodys in [block, inside, Frame::new(63), Frame::new(64), Frame::new(u64::MAX)] {
            assert_eq!(books.owners(nobodys), 0, "{nobodys:?}");
            let shared = catch_unwind(AssertUnwindSafe(|| books.share(nobodys)));
            let unshared = catch_unwind(AssertUnwindSafe(|| assert!(!books.unshare(nobodys))));
            assert_eq!(shared.is_err() && unshared.is_err(), cfg!(debug_assertions));
        }
        frames.free(block, 2);
        assert_eq!(frames.allocate(6), Some(Frame::new(0)));
    });
}

#[test]
fn a_frame_with_other_owners_can_not_be_freed() {
    wrong(|frames, books| {
        let frame = frames.allocate(0).unwrap();
        books.share(frame);
        frames.free(frame, 0);
    });
}
