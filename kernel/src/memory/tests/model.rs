//! All of physical memory against a model that remembers who has each frame: memory maps as loaders
//! give them, blocks, splits, owners, and several CPUs with their caches.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{Frame, PAGE, Range, Room};
use crate::{boot::MemoryMap, memory::pool::Pool};

/// How many frames from the start of a map on the model looks at.
const FRAMES: u64 = 700;
/// Maps begin here or there: the second ends above 4 GiB.
const STARTS: [u64; 2] = [0, (1 << 20) - FRAMES / 2];
const CPUS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// On a CPU.
    Allocate(usize),
    AllocateBlock(usize),
    /// Those that follow choose the frame or block by its index, counted round.
    Free(usize, usize),
    FreeBlock(usize),
    /// Into blocks of this order, or one less than its own.
    Split(usize, usize),
    Share(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (cpu, any) = (0..CPUS, any::<usize>());
    let step = prop_oneof![
        6 => cpu.clone().prop_map(Step::Allocate),
        3 => (1..8_usize).prop_map(Step::AllocateBlock),
        5 => (cpu, any).prop_map(|(cpu, frame)| Step::Free(cpu, frame)),
        1 => any.prop_map(Step::FreeBlock),
        1 => (any, 0..4_usize).prop_map(|(block, into)| Step::Split(block, into)),
        1 => any.prop_map(Step::Share),
    ];
    prop::collection::vec(step, 0..400)
}

/// Entries of a loader's map: where one begins and how long it is, in bytes from the map's start, and
/// whether it is usable. They overlap, touch, and end within frames.
fn entries() -> impl Strategy<Value = Vec<(u64, u64, bool)>> {
    let length = prop_oneof![0..3 * PAGE, 0..FRAMES * PAGE, (1..300_u64).prop_map(|f| f * PAGE)];
    let start = prop_oneof![0..FRAMES * PAGE, (0..FRAMES).prop_map(|frame| frame * PAGE)];
    prop::collection::vec((start, length, prop::bool::weighted(0.7)), 1..8)
}

/// The frames that are wholly in usable entries, and in no reserved one.
fn usable(entries: &[(u64, u64, bool)], frames: Range<u64>) -> BTreeSet<u64> {
    let start = frames.start * PAGE;
    let mut usable = BTreeSet::new();
    for frame in frames {
        let (mut at, end) = (frame * PAGE, (frame + 1) * PAGE);
        let reserved = entries.iter().any(|(from, length, usable)| {
            let from = start + from;
            !usable && *length > 0 && from < end && at < from + length
        });
        // Goes on as far as some entry reaches, until none goes further.
        while let Some(further) = entries
            .iter()
            .filter(|(from, length, usable)| {
                *usable && start + from <= at && at < start + from + length
            })
            .map(|(from, length, _)| start + from + length)
            .max()
        {
            at = further;
        }
        if !reserved && at >= end {
            usable.insert(frame);
        }
    }
    usable
}

/// Who has what.
struct Model {
    all: BTreeSet<u64>,
    free: BTreeSet<u64>,
    blocks: Vec<(u64, usize)>,
    /// Owners of each frame that is allocated by itself.
    owners: BTreeMap<u64, u32>,
}

impl Model {
    fn is_free(&self, start: u64, order: usize) -> bool {
        (start..start + (1 << order)).all(|frame| self.free.contains(&frame))
    }

    /// Whether some aligned block of this order is free. The allocator must find one, since buddies
    /// that are both free are always joined.
    fn has(&self, order: usize) -> bool {
        let aligned = self.free.iter().filter(|frame| frame.is_multiple_of(1 << order));
        aligned.into_iter().any(|start| self.is_free(*start, order))
    }

    fn take(&mut self, start: u64, order: usize) {
        (start..start + (1 << order)).for_each(|frame| assert!(self.free.remove(&frame)));
    }

    fn frame(&self, index: usize) -> Option<u64> {
        self.owners.keys().nth(index % self.owners.len().max(1)).copied()
    }

    fn take_block(&mut self, index: usize) -> Option<(u64, usize)> {
        (!self.blocks.is_empty()).then(|| self.blocks.swap_remove(index % self.blocks.len()))
    }
}

fn play(pool: &Pool<'_>, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    match step {
        Step::Allocate(cpu) => match pool.allocate(cpu) {
            Some(frame) => {
                prop_assert!(model.is_free(frame.number(), 0), "{frame:?} is someone's");
                model.take(frame.number(), 0);
                model.owners.insert(frame.number(), 1);
            }
            None => prop_assert!(model.free.is_empty(), "a frame is free"),
        },
        Step::AllocateBlock(order) => match pool.allocate_block(order) {
            Some(block) => {
                let start = block.number();
                prop_assert!(start.is_multiple_of(1 << order), "{start} order {order}");
                prop_assert!(model.is_free(start, order), "{start} is someone's");
                model.take(start, order);
                model.blocks.push((start, order));
            }
            None => prop_assert!(!model.has(order), "a block of order {order} is free"),
        },
        Step::Free(cpu, index) => {
            if let Some(frame) = model.frame(index) {
                let owners = model.owners[&frame] - 1;
                prop_assert_eq!(pool.books.unshare(Frame::new(frame)), owners == 0);
                if owners == 0 {
                    pool.free(cpu, Frame::new(frame));
                    model.owners.remove(&frame);
                    model.free.insert(frame);
                } else {
                    model.owners.insert(frame, owners);
                }
            }
        }
        Step::FreeBlock(index) => {
            if let Some((start, order)) = model.take_block(index) {
                pool.free_block(Frame::new(start), order);
                model.free.extend(start..start + (1 << order));
            }
        }
        Step::Split(index, into) => {
            if let Some((start, order)) = model.take_block(index) {
                let into = into.min(order - 1);
                pool.books.split(Frame::new(start), order, into);
                let parts = (start..start + (1 << order)).step_by(1 << into);
                match into {
                    0 => model.owners.extend(parts.map(|frame| (frame, 1))),
                    _ => model.blocks.extend(parts.map(|part| (part, into))),
                }
            }
        }
        Step::Share(index) => {
            if let Some(frame) = model.frame(index) {
                pool.books.share(Frame::new(frame));
                *model.owners.get_mut(&frame).unwrap() += 1;
            }
        }
    }
    Ok(())
}

fn check(pool: &Pool<'_>, model: &Model) -> Result<(), TestCaseError> {
    let counts = pool.counts();
    prop_assert_eq!(counts.free, model.free.len() as u64);
    prop_assert_eq!(counts.total, model.all.len() as u64);
    prop_assert!(counts.cached <= counts.free);
    prop_assert!(counts.largest_order.is_none_or(|order| model.has(order)));
    prop_assert_eq!(counts.largest_order.is_none(), counts.cached == counts.free);
    for (frame, owners) in &model.owners {
        prop_assert_eq!(pool.books.owners(Frame::new(*frame)), *owners);
    }
    Ok(())
}

proptest! {
    #[test]
    fn frames_never_overlap_and_none_is_lost(
        start in prop::sample::select(&STARTS),
        entries in entries(),
        steps in steps(),
    ) {
        let mut map = MemoryMap::default();
        for (from, length, usable) in &entries {
            map.add(start * PAGE + from, *length, *usable).unwrap();
        }
        // Entries reach over the end of what has books.
        let all = usable(&entries, start..start + FRAMES);
        let room = Room::new(start + FRAMES);
        let pool = Pool::new(room.books(), 0, map.usable(&[]));
        let mut model =
            Model { free: all.clone(), all, blocks: Vec::new(), owners: BTreeMap::new() };
        check(&pool, &model)?;
        for step in steps {
            play(&pool, &mut model, step)?;
            check(&pool, &model)?;
        }
        while !(model.owners.is_empty() && model.blocks.is_empty()) {
            play(&pool, &mut model, Step::Free(0, 0))?;
            play(&pool, &mut model, Step::FreeBlock(0))?;
        }
        check(&pool, &model)?;
        let mut given: Vec<u64> =
            core::iter::from_fn(|| pool.allocate(1)).map(Frame::number).collect();
        given.sort();
        prop_assert_eq!(given, Vec::from_iter(model.all));
    }
}
