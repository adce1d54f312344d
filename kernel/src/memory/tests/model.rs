//! The frame allocator against a model that remembers who has each frame.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Frame, FrameAllocator, PAGE, Range, Room};

const FRAMES: u64 = 700;

#[derive(Clone, Debug)]
enum Step {
    Allocate {
        order: usize,
    },
    /// Frees the block with this index, counted round.
    Free {
        block: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..8_usize).prop_map(|order| Step::Allocate { order }),
        2 => any::<usize>().prop_map(|block| Step::Free { block }),
    ];
    prop::collection::vec(step, 0..300)
}

/// Up to three regions without overlaps, in any order.
fn regions() -> impl Strategy<Value = Vec<Range<u64>>> {
    let cuts = prop::collection::btree_set(0..FRAMES, 2..7);
    cuts.prop_map(|cuts| {
        let cuts = Vec::from_iter(cuts);
        cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).rev().collect()
    })
}

/// What is not given out, in single frames.
#[derive(Default)]
struct Model {
    free: BTreeSet<u64>,
    blocks: Vec<(u64, usize)>,
}

impl Model {
    /// Whether some aligned block of this order is wholly free. The allocator must find one, since
    /// buddies that are both free are always joined.
    fn has(&self, order: usize) -> bool {
        let size = 1 << order;
        (0..FRAMES).step_by(size).any(|start| self.is_free(start, order))
    }

    fn is_free(&self, start: u64, order: usize) -> bool {
        (start..start + (1 << order)).all(|frame| self.free.contains(&frame))
    }
}

proptest! {
    #[test]
    fn blocks_never_overlap_and_none_is_lost(regions in regions(), steps in steps()) {
        let room = Room::new(FRAMES);
        let bytes = regions.iter().map(|range| range.start * PAGE..range.end * PAGE);
        let mut frames = FrameAllocator::new(room.books(), bytes);
        let mut model = Model::default();
        model.free.extend(regions.iter().cloned().flatten());
        let all = model.free.clone();
        for step in steps {
            match step {
                Step::Allocate { order } => match frames.allocate(order) {
                    Some(block) => {
                        let start = block.number();
                        prop_assert!(start.is_multiple_of(1 << order), "{start} order {order}");
                        prop_assert!(model.is_free(start, order), "{start} is someone's");
                        for frame in start..start + (1 << order) {
                            model.free.remove(&frame);
                        }
                        model.blocks.push((start, order));
                    }
                    None => prop_assert!(!model.has(order), "a block of order {order} is free"),
                },
                Step::Free { block } if !model.blocks.is_empty() => {
                    let block = block % model.blocks.len();
                    let (start, order) = model.blocks.swap_remove(block);
                    frames.free(Frame::new(start), order);
                    model.free.extend(start..start + (1 << order));
                }
                Step::Free { .. } => {}
            }
            prop_assert_eq!(frames.free_frames(), model.free.len() as u64);
        }
        for (start, order) in model.blocks {
            frames.free(Frame::new(start), order);
        }
        prop_assert_eq!(frames.free_frames(), all.len() as u64);
        let mut given: Vec<u64> =
            core::iter::from_fn(|| frames.allocate(0)).map(Frame::number).collect();
        given.sort();
        prop_assert_eq!(given, Vec::from_iter(all));
    }
}
