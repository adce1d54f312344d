//! Fields at the ends of their ranges: the last good value, and the first bad one.

use super::{
    builder::{DATA, EMPTY, Entry, PAGE, READ, READ_ONLY, SPACE, TABLE_ENTRY, TEXT, WRITE},
    parse,
};
use crate::{ElfError, MAX_SEGMENTS};

#[test]
fn a_segment_may_begin_with_user_space() {
    let at = |address| parse(|file| file.table[READ_ONLY].address = address);
    assert_eq!(at(SPACE.start).unwrap().segments[0].start, SPACE.start);
    assert_eq!(at(SPACE.start - PAGE), Err(ElfError::OutsideUserSpace));
}

#[test]
fn a_segment_may_end_with_user_space() {
    let of = |bytes| parse(|file| file.table.push(Entry::zeros(READ, SPACE.end - 2 * PAGE, bytes)));
    assert_eq!(of(2 * PAGE).unwrap().segments[3].end(), SPACE.end);
    assert_eq!(of(2 * PAGE + 1), Err(ElfError::OutsideUserSpace));
    let behind = parse(|file| file.table.push(Entry::zeros(READ, SPACE.end, 1)));
    assert_eq!(behind, Err(ElfError::OutsideUserSpace));
}

#[test]
fn a_segment_may_end_with_the_file() {
    let plan = parse(|file| assert_eq!(file.length, 0x4000)).unwrap();
    assert_eq!(plan.segments[2].file.end, 0x4000);
    assert_eq!(parse(|file| file.length -= 1), Err(ElfError::Truncated));
}

#[test]
fn segments_may_be_adjacent_in_pages() {
    let plan = parse(|file| file.table[READ_ONLY].memory_bytes = PAGE).unwrap();
    assert_eq!(plan.segments[0].end(), plan.segments[1].start);
    let before = |bytes| parse(|file| file.table.push(Entry::zeros(READ, 0x40_3000, bytes)));
    assert!(before(2 * PAGE).is_ok(), "it fills the gap");
    assert_eq!(before(2 * PAGE + 1), Err(ElfError::Overlapping));
}

#[test]
fn the_last_bytes_page_counts_whole() {
    let pages = |bytes| {
        parse(|file| file.table[DATA].memory_bytes = bytes).map(|plan| plan.segments[2].pages)
    };
    // It starts 0x10 bytes before the end of its first page.
    assert_eq!(pages(0x10), Ok(1));
    assert_eq!(pages(0x11), Ok(2));
    assert_eq!(pages(0x10 + PAGE), Ok(2));
    assert_eq!(pages(0x11 + PAGE), Ok(3));
}

#[test]
fn an_offset_that_overflows_with_its_size_is_refused() {
    // To exactly 2^64, and to beyond.
    for offset in [0xffff_ffff_ffff_e010, 0xffff_ffff_ffff_f010] {
        let plan = parse(|file| file.table[TEXT].offset = offset);
        assert_eq!(plan, Err(ElfError::Truncated));
    }
}

#[test]
fn an_address_that_overflows_with_its_size_is_refused() {
    let of = |bytes| parse(|file| file.table[TEXT].memory_bytes = bytes);
    let to_the_end = 0u64.wrapping_sub(0x40_1010);
    for bytes in [to_the_end - 1, to_the_end, to_the_end + 1, u64::MAX] {
        assert_eq!(of(bytes), Err(ElfError::OutsideUserSpace), "{bytes:#x}");
    }
    let last = parse(|file| file.table[READ_ONLY].address = 0xffff_ffff_ffff_f000);
    assert_eq!(last, Err(ElfError::OutsideUserSpace));
}

#[test]
fn a_table_may_end_with_the_file_and_not_behind_it() {
    let at = |offset| parse(|file| file.table_offset = offset);
    let table = (TABLE_ENTRY * 5) as u64;
    assert!(at(0x4000 - table).is_ok());
    let overflowing = 0u64.wrapping_sub(table);
    for offset in [0x4000 - table + 1, 0x4000, 0x4001, overflowing - 1, overflowing, u64::MAX] {
        assert_eq!(at(offset), Err(ElfError::Truncated), "{offset:#x}");
    }
}

#[test]
fn a_table_that_is_said_to_be_longer_than_the_file_is_refused() {
    // Entries that load nothing, so that only the table's own end can be at fault.
    let fit = (0x4000 - 64) / TABLE_ENTRY;
    let of = |count, filled| {
        parse(|file| {
            file.table.resize(filled, file.table[EMPTY]);
            file.count = Some(count);
        })
    };
    assert!(of(fit as u16, fit).is_ok());
    assert_eq!(of(fit as u16 + 1, fit), Err(ElfError::Truncated));
    assert_eq!(of(u16::MAX, fit), Err(ElfError::Truncated));
}

#[test]
fn the_entry_may_be_the_last_byte_of_the_code() {
    let at = |entry| parse(|file| file.entry = entry);
    assert_eq!(at(0x40_2fff).unwrap().entry, 0x40_2fff);
    assert_eq!(at(0x40_3000), Err(ElfError::BadEntry));
    assert_eq!(at(0x40_0fff), Err(ElfError::BadEntry), "the page before");
}

#[test]
fn a_program_may_have_as_many_segments_as_fit() {
    let plan = parse(|file| file.many(0)).unwrap();
    assert_eq!(plan.segments.len(), MAX_SEGMENTS);
    let with_empty = parse(|file| {
        file.many(0);
        file.table.push(Entry::zeros(READ, 0, 0));
    });
    assert_eq!(with_empty.unwrap(), plan, "one that is skipped takes no place");
}

#[test]
fn one_segment_more_is_refused_even_where_it_would_come_first() {
    let plan = parse(|file| {
        file.many(1);
        file.table.reverse();
    });
    assert_eq!(plan, Err(ElfError::TooManySegments));
}

#[test]
fn a_program_may_take_a_gibibyte_in_all() {
    let of = |bytes| {
        parse(|file| {
            file.code_only();
            file.table.push(Entry::zeros(READ | WRITE, 0x1_0000_0000, bytes));
        })
    };
    let rest = (1 << 30) - PAGE;
    assert_eq!(of(rest).unwrap().segments[1].pages, (1 << 18) - 1);
    assert_eq!(of(rest + 1), Err(ElfError::TooLarge));
    assert_eq!(of(SPACE.end - 0x1_0000_0000), Err(ElfError::TooLarge), "the rest of user space");
}
