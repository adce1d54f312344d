//! Lists of frames.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Frame, allocate_frame, free_frame, free_frames};
use crate::{
    arch::{direct_map, host::machine},
    memory::{FrameList, allocate_block, owners, share, split_block, unshare},
};

#[test]
fn the_last_that_was_pushed_comes_first() {
    let _machine = machine();
    let before = free_frames();
    let frames: Vec<Frame> = (0..100).map(|_| allocate_frame().unwrap()).collect();
    let mut list = FrameList::new();
    assert!(list.is_empty() && list.pop().is_none());
    for (length, frame) in frames.iter().enumerate() {
        assert_eq!(list.len(), length);
        list.push(*frame);
    }
    assert_eq!((list.len(), list.is_empty(), free_frames()), (100, false, before - 100));
    for frame in frames.into_iter().rev() {
        assert_eq!(list.pop(), Some(frame));
        free_frame(frame);
    }
    assert_eq!((list.pop(), list.len(), free_frames()), (None, 0, before));
}

#[test]
fn a_list_is_appended_with_its_order() {
    let _machine = machine();
    let before = free_frames();
    let frames: Vec<Frame> = (0..6).map(|_| allocate_frame().unwrap()).collect();
    for split in 0..=frames.len() {
        let (mut one, mut other) = (FrameList::new(), FrameList::new());
        frames[..split].iter().for_each(|frame| one.push(*frame));
        frames[split..].iter().for_each(|frame| other.push(*frame));
        one.append(&mut other);
        assert_eq!((one.len(), other.len(), other.pop()), (frames.len(), 0, None));
        // Both are lists as before.
        other.push(one.pop().unwrap());
        other.append(&mut one);
        let taken: Vec<Frame> = core::iter::from_fn(|| other.pop()).collect();
        let expected = frames[..5].iter().rev().chain(&frames[5..]);
        assert!(taken.iter().eq(expected), "{taken:?}");
        assert!(one.is_empty() && one.pop().is_none());
    }
    frames.into_iter().for_each(free_frame);
    assert_eq!(free_frames(), before);
}

#[test]
fn a_list_that_is_dropped_frees_its_frames() {
    let _machine = machine();
    let before = free_frames();
    let mut lists = [FrameList::new(), FrameList::default()];
    let block = allocate_block(5).unwrap();
    split_block(block, 5, 0);
    for part in 0..32 {
        lists[part as usize % 2].push(Frame::new(block.number() + part));
    }
    drop(lists);
    assert_eq!(free_frames(), before);
}

#[test]
fn a_frame_in_a_list_keeps_its_content_and_its_owners() {
    let _machine = machine();
    let frame = allocate_frame().unwrap();
    direct_map::write(frame, 0, b"page table");
    let mut list = FrameList::new();
    share(frame);
    list.push(frame);
    assert_eq!(owners(frame), 2);
    assert!(!unshare(frame));
    let mut content = [0; 10];
    direct_map::read(frame, 0, &mut content);
    assert_eq!(&content, b"page table");
    assert_eq!(list.pop(), Some(frame));
    assert_eq!(owners(frame), 1);
    free_frame(frame);
}

/// What may not be pushed: debug builds panic, others don't add it.
fn refused(list: &mut FrameList, frame: Frame) {
    let before = list.len();
    let result = catch_unwind(AssertUnwindSafe(|| list.push(frame)));
    assert_eq!(result.is_err(), cfg!(debug_assertions), "{frame:?}");
    assert_eq!(list.len(), before);
}

#[test]
fn a_frame_is_in_one_list() {
    let _machine = machine();
    let (mut one, mut other) = (FrameList::new(), FrameList::new());
    let frame = allocate_frame().unwrap();
    one.push(frame);
    refused(&mut one, frame);
    refused(&mut other, frame);
    other.push(one.pop().unwrap());
    assert_eq!((one.len(), other.len()), (0, 1));
}

#[test]
fn blocks_and_what_is_nobodys_can_not_be_listed() {
    let _machine = machine();
    let mut list = FrameList::new();
    let (block, free) = (allocate_block(1).unwrap(), allocate_frame().unwrap());
    free_frame(free);
    let inside = Frame::new(block.number() + 1);
    for frame in [block, inside, free, Frame::new(0), Frame::new(u64::MAX)] {
        refused(&mut list, frame);
    }
    crate::memory::free_block(block, 1);
}

#[test]
#[cfg(debug_assertions)]
fn a_frame_in_a_list_can_not_be_freed() {
    let _machine = machine();
    let before = free_frames();
    let mut list = FrameList::new();
    let frame = allocate_frame().unwrap();
    list.push(frame);
    let result = catch_unwind(|| free_frame(frame));
    assert!(result.is_err());
    assert_eq!(list.pop(), Some(frame));
    free_frame(frame);
    assert_eq!(free_frames(), before);
}
