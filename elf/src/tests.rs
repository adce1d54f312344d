//! Tests on the host.

mod builder;
mod limits;
mod random;
mod refusals;

use std::{vec, vec::Vec};

use self::builder::{DATA, EMPTY, EXECUTE, File, PAGE, READ, READ_ONLY, SPACE, WRITE};
use crate::{ElfError, MAX_SEGMENTS, Plan, Segment, SegmentAccess};

/// What comes of the good file after `change`.
fn parse(change: impl FnOnce(&mut File)) -> Result<Plan, ElfError> {
    let mut file = File::good();
    change(&mut file);
    let bytes = file.bytes();
    let plan = Plan::parse(&bytes)?;
    check(&plan, &bytes);
    Ok(plan)
}

/// What every plan must keep, whatever file it was made of: the loader relies on it unseen.
fn check(plan: &Plan, file: &[u8]) {
    assert!((1..=MAX_SEGMENTS).contains(&plan.segments.len()));
    for segment in &plan.segments {
        assert!(segment.start % PAGE == 0 && segment.pages != 0, "{segment:?}");
        assert!(SPACE.start <= segment.start && segment.end() <= SPACE.end, "{segment:?}");
        assert!(segment.file.start <= segment.file.end, "{segment:?}");
        assert!(segment.file.end <= file.len(), "{segment:?}");
        assert_eq!(segment.file_bytes(file), &file[segment.file.clone()]);
        assert!(segment.offset < PAGE as usize, "{segment:?}");
        let room = (segment.pages * PAGE) as usize;
        assert!(segment.offset + segment.file.len() <= room, "{segment:?}");
    }
    assert!(plan.segments.windows(2).all(|pair| pair[0].end() <= pair[1].start), "{plan:?}");
    let bytes: u64 = plan.segments.iter().map(|segment| segment.pages * PAGE).sum();
    assert!(bytes <= 1 << 30, "{plan:?}");
    let holds_entry = |segment: &Segment| {
        segment.access == SegmentAccess::ReadExecute
            && (segment.start..segment.end()).contains(&plan.entry)
    };
    assert!(plan.segments.iter().any(holds_entry), "{plan:?}");
}

#[test]
fn a_good_file_becomes_sorted_pages_with_their_bytes_and_rights() {
    let plan = parse(|_| {}).unwrap();
    assert_eq!(plan.entry, 0x40_1010);
    let expected = [
        Segment {
            start: 0x40_0000,
            pages: 1,
            file: 0..0x800,
            offset: 0,
            access: SegmentAccess::Read,
        },
        Segment {
            start: 0x40_1000,
            pages: 2,
            file: 0x1010..0x3000,
            offset: 0x10,
            access: SegmentAccess::ReadExecute,
        },
        Segment {
            start: 0x40_5000,
            pages: 4,
            file: 0x3ff0..0x4000,
            offset: 0xff0,
            access: SegmentAccess::ReadWrite,
        },
    ];
    assert_eq!(plan.segments[..], expected);
    assert_eq!(plan.segments[2].end(), 0x40_9000);
}

#[test]
fn the_memory_behind_a_segments_bytes_gets_none_of_the_file() {
    let bytes = File::good().bytes();
    let plan = Plan::parse(&bytes).unwrap();
    let data = &plan.segments[2];
    assert_eq!(data.file_bytes(&bytes), &bytes[0x3ff0..0x4000]);
    assert!(data.pages * PAGE > (data.offset + data.file.len()) as u64, "a tail to zero");
}

#[test]
fn a_segment_of_zeros_only_takes_no_bytes() {
    let plan = parse(|file| file.table[DATA].file_bytes = 0).unwrap();
    assert!(plan.segments[2].file.is_empty());
    assert_eq!(plan.segments[2].pages, 4);
}

#[test]
fn a_segment_without_memory_is_skipped_whatever_it_says() {
    let plan = parse(|file| {
        let empty = &mut file.table[EMPTY];
        (empty.flags, empty.offset, empty.address) = (0, u64::MAX, u64::MAX);
    });
    assert_eq!(plan, parse(|_| {}));
}

#[test]
fn headers_that_load_nothing_are_skipped() {
    const PT_NOTE: u32 = 4;
    let plan = parse(|file| file.table[READ_ONLY].kind = PT_NOTE).unwrap();
    assert_eq!(plan.segments.len(), 2);
}

#[test]
fn the_flags_decide_what_a_program_may_do() {
    let access = |flags| parse(|file| file.table[DATA].flags = flags).unwrap().segments[2].access;
    assert_eq!(access(READ), SegmentAccess::Read);
    assert_eq!(access(READ | WRITE), SegmentAccess::ReadWrite);
    assert_eq!(access(READ | EXECUTE), SegmentAccess::ReadExecute);
    assert_eq!(access(READ | 1 << 20), SegmentAccess::Read, "flags of others change nothing");
}

#[test]
fn the_file_may_stand_anywhere_in_memory() {
    let bytes = File::good().bytes();
    let plan = Plan::parse(&bytes);
    for shift in 1..16 {
        let mut moved = vec![0; shift];
        moved.extend(&bytes);
        assert_eq!(Plan::parse(&moved[shift..]), plan, "{shift} bytes on");
    }
}

#[test]
fn the_table_may_stand_anywhere_in_the_file() {
    for place in [65, 67, 0x801] {
        assert_eq!(parse(|file| file.table_offset = place), parse(|_| {}), "at {place}");
    }
}

#[test]
fn the_order_of_the_table_does_not_matter() {
    assert_eq!(parse(|file| file.table.reverse()), parse(|_| {}));
}

#[test]
fn every_reason_has_a_phrase_of_its_own() {
    use ElfError::*;
    let all = [
        NotElf,
        Not64Bit,
        BigEndian,
        WrongMachine,
        NotExecutable,
        Dynamic,
        Truncated,
        Malformed,
        NoSegments,
        TooManySegments,
        OutsideUserSpace,
        Overlapping,
        WriteAndExecute,
        Unreadable,
        TooLarge,
        BadEntry,
    ];
    let mut phrases: Vec<_> = all.iter().map(std::string::ToString::to_string).collect();
    phrases.sort();
    phrases.dedup();
    assert_eq!(phrases.len(), all.len());
}
