//! Memory maps of firmware that sorts nothing, overlaps, and reaches over the end.
#![forbid(unsafe_code)]

use core::ops::Range;

use proptest::prelude::*;

use crate::boot::{BootError, MemoryMap};

const PAGE: u64 = 4096;

fn map(entries: &[(u64, u64, bool)]) -> MemoryMap {
    let mut map = MemoryMap::default();
    for (start, bytes, usable) in entries {
        map.add(*start, *bytes, *usable).unwrap();
    }
    map
}

fn usable(entries: &[(u64, u64, bool)], reserved: &[Range<u64>]) -> Vec<Range<u64>> {
    map(entries).usable(reserved).collect()
}

fn one(range: Range<u64>) -> Vec<Range<u64>> {
    vec![range]
}

#[test]
fn entries_are_sorted() {
    let map = map(&[(0x5000, 0x1000, true), (0, 0x1000, true), (0x2000, 0x1000, false)]);
    let starts: Vec<u64> = map.regions().iter().map(|region| region.range.start).collect();
    assert_eq!(starts, [0, 0x2000, 0x5000]);
    assert_eq!(map.usable(&[]).collect::<Vec<_>>(), [0..0x1000, 0x5000..0x6000]);
}

#[test]
fn an_empty_entry_counts_for_nothing() {
    assert!(map(&[(0x1000, 0, true), (u64::MAX, 0, true)]).regions().is_empty());
}

#[test]
fn where_entries_overlap_the_reserved_one_wins() {
    let hole = [0..0x4000, 0x5000..0x1_0000];
    assert_eq!(usable(&[(0, 0x1_0000, true), (0x4000, 0x1000, false)], &[]), hole);
    assert_eq!(usable(&[(0x4000, 0x1000, false), (0, 0x1_0000, true)], &[]), hole);
    assert_eq!(usable(&[(0x4000, 0x1000, true), (0, 0x1_0000, false)], &[]), []);
}

#[test]
fn usable_entries_that_overlap_are_given_once() {
    let entries = [(0, 0x4000, true), (0x2000, 0x4000, true), (0x2000, 0x1000, true)];
    let whole: u64 = usable(&entries, &[]).iter().map(|range| range.end - range.start).sum();
    assert_eq!(whole, 0x6000);
}

#[test]
fn a_frame_that_two_entries_share_is_given() {
    assert_eq!(usable(&[(0, 0x1800, true), (0x1800, 0x1800, true)], &[]), one(0..0x3000));
    assert_eq!(usable(&[(0, 0x1801, true), (0x1000, 0x2000, true)], &[]), one(0..0x3000));
    let between = [(0, 0x1800, true), (0x1800, 1, false), (0x1801, 0x1fff, true)];
    assert_eq!(usable(&between, &[]), [0..0x1000, 0x2000..0x3000], "not where one is reserved");
}

#[test]
fn only_whole_frames_are_given() {
    assert_eq!(usable(&[(0x1234, 0x3000, true)], &[]), one(0x2000..0x4000));
    assert_eq!(usable(&[(0x1001, 0xffe, true)], &[]), []);
    assert_eq!(usable(&[(0x1001, 0x1ffe, true)], &[]), [], "two halves make no frame");
    // A reserved byte takes its whole frame.
    assert_eq!(usable(&[(0, 0x3000, true), (0x1800, 1, false)], &[]), [0..0x1000, 0x2000..0x3000]);
}

#[test]
fn what_the_kernel_reserves_is_left_out() {
    let ram = [(0, 0x1_0000, true)];
    assert_eq!(usable(&ram, &[0x2000..0x3000, 0x2800..0x5000]), [0..0x2000, 0x5000..0x1_0000]);
    assert_eq!(usable(&ram, &one(0..0x1_0000)), []);
    assert_eq!(usable(&ram, &one(0..u64::MAX)), []);
    assert_eq!(usable(&ram, &one(0x2_0000..0x3_0000)), one(0..0x1_0000), "elsewhere");
}

#[test]
fn an_entry_that_reaches_over_the_end_is_cut() {
    let map = map(&[(0x1000, u64::MAX, true), (u64::MAX - 10, 100, true)]);
    assert_eq!(map.regions()[0].range, 0x1000..u64::MAX);
    assert_eq!(map.usable(&[]).collect::<Vec<_>>(), one(0x1000..1 << 52), "52 bits of address");
}

#[test]
fn memory_above_what_a_cpu_can_address_is_none() {
    assert_eq!(usable(&[(1 << 52, 1 << 30, true)], &[]), []);
}

#[test]
fn more_entries_than_the_kernel_keeps_are_an_error() {
    let mut map = MemoryMap::default();
    let last = (0..1000).map(|entry| map.add(entry * 0x2000, 0x1000, true)).find(Result::is_err);
    assert_eq!(last, Some(Err(BootError::TooManyRegions)));
    assert_eq!(map.regions().len(), 128);
}

#[test]
fn a_range_is_memory_where_entries_join_without_a_gap() {
    let map = map(&[(0, 0x1800, true), (0x1800, 0x1000, true), (0x4000, 0x1000, true)]);
    assert!(
        map.contains(0, 0x2800) && map.contains(0x17ff, 0x1801) && map.contains(0x4000, 0x5000)
    );
    assert!(!map.contains(0, 0x2801) && !map.contains(0x2000, 0x4800));
    assert!(!map.contains(0x8000, 0x8001));
}

/// Entries around a few frames, so that they overlap often, and some far out.
fn entry() -> impl Strategy<Value = (u64, u64, bool)> {
    let near = (0..40 * PAGE, 0..20 * PAGE);
    let far = (any::<u64>(), any::<u64>());
    (prop_oneof![5 => near.boxed(), 1 => far.boxed()], prop::bool::weighted(0.7))
        .prop_map(|((start, bytes), usable)| (start, bytes, usable))
}

proptest! {
    /// Against the naive definition, frame by frame, where the frames can be counted.
    #[test]
    fn a_frame_is_given_if_it_is_memory_and_nobodys(
        entries in prop::collection::vec(entry(), 0..12),
        reserved in prop::collection::vec((0..40 * PAGE, 0..10 * PAGE), 0..4),
    ) {
        let reserved: Vec<_> = reserved.iter().map(|(start, bytes)| *start..start + bytes).collect();
        let given = usable(&entries, &reserved);
        prop_assert!(given.iter().all(|range| range.start < range.end));
        prop_assert!(given.windows(2).all(|pair| pair[0].end <= pair[1].start), "{:x?}", given);
        let blocked = || {
            let entries = entries.iter().filter(|entry| !entry.2);
            let entries = entries.map(|entry| entry.0..entry.0.saturating_add(entry.1));
            entries.chain(reserved.iter().cloned())
        };
        for start in (0..64 * PAGE).step_by(PAGE as usize) {
            let frame = start..start + PAGE;
            let touched = blocked().any(|b| b.start < frame.end && frame.start < b.end);
            let is_given = given.iter().any(|g| g.start <= frame.start && frame.end <= g.end);
            prop_assert!(!(is_given && touched), "{frame:x?} is someone's");
            let within_one = entries.iter().any(|(start, bytes, usable)| {
                *usable && *start <= frame.start && frame.end <= start.saturating_add(*bytes)
            });
            prop_assert!(is_given || touched || !within_one, "{frame:x?} is lost");
            let bytes_of_ram = |at: u64| entries.iter().any(|(start, bytes, usable)| {
                *usable && (*start..start.saturating_add(*bytes)).contains(&at)
            });
            prop_assert!(
                !is_given || frame.clone().step_by(64).all(bytes_of_ram),
                "{frame:x?} is no memory"
            );
        }
    }
}
