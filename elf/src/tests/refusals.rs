//! For each reason, the smallest changes to the good file that give it.

use super::{
    builder::{
        DATA, EMPTY, EXECUTE, File, PAGE, PT_DYNAMIC, PT_INTERP, READ, READ_ONLY, TEXT, WRITE,
    },
    parse,
};
use crate::{ElfError, Plan};

#[track_caller]
fn refuses(error: ElfError, change: impl FnOnce(&mut File)) {
    assert_eq!(parse(change), Err(error));
}

#[test]
fn a_file_without_the_magic_number_is_refused() {
    for at in 0..4 {
        let mut bytes = File::good().bytes();
        bytes[at] ^= 1;
        assert_eq!(Plan::parse(&bytes), Err(ElfError::NotElf), "byte {at}");
    }
    assert_eq!(Plan::parse(b""), Err(ElfError::NotElf));
    assert_eq!(Plan::parse(b"\x7fEL"), Err(ElfError::NotElf));
}

#[test]
fn a_32_bit_file_is_refused() {
    refuses(ElfError::Not64Bit, |file| file.class = 1);
}

#[test]
fn a_big_endian_file_is_refused() {
    refuses(ElfError::BigEndian, |file| file.data = 2);
}

#[test]
fn a_file_for_another_processor_is_refused() {
    const EM_AARCH64: u16 = 183;
    refuses(ElfError::WrongMachine, |file| file.machine = EM_AARCH64);
}

#[test]
fn object_and_core_files_are_refused() {
    const ET_REL: u16 = 1;
    const ET_CORE: u16 = 4;
    refuses(ElfError::NotExecutable, |file| file.kind = ET_REL);
    refuses(ElfError::NotExecutable, |file| file.kind = ET_CORE);
}

#[test]
fn a_file_that_is_to_be_relocated_or_linked_is_refused() {
    const ET_DYN: u16 = 3;
    refuses(ElfError::Dynamic, |file| file.kind = ET_DYN);
    // Even where the entry would load nothing.
    refuses(ElfError::Dynamic, |file| file.table[EMPTY].kind = PT_INTERP);
    refuses(ElfError::Dynamic, |file| file.table[EMPTY].kind = PT_DYNAMIC);
}

#[test]
fn a_file_that_lacks_its_end_is_refused_wherever_it_was_cut() {
    let bytes = File::good().bytes();
    for length in 4..bytes.len() {
        assert_eq!(Plan::parse(&bytes[..length]), Err(ElfError::Truncated), "{length} bytes");
    }
}

#[test]
fn a_segment_with_bytes_behind_the_end_of_the_file_is_refused() {
    refuses(ElfError::Truncated, |file| file.table[DATA].file_bytes += 1);
    refuses(ElfError::Truncated, |file| file.table[DATA].offset += PAGE);
}

#[test]
fn headers_of_another_size_are_refused() {
    refuses(ElfError::Malformed, |file| file.header_bytes -= 1);
    refuses(ElfError::Malformed, |file| file.header_bytes += 1);
    refuses(ElfError::Malformed, |file| file.table_entry -= 1);
    refuses(ElfError::Malformed, |file| file.table_entry += 1);
    refuses(ElfError::Malformed, |file| file.table_entry = 0);
}

#[test]
fn a_segment_with_more_bytes_than_memory_is_refused() {
    refuses(ElfError::Malformed, |file| file.table[TEXT].memory_bytes -= 1);
}

#[test]
fn a_segment_that_lies_otherwise_in_its_page_than_in_the_file_is_refused() {
    refuses(ElfError::Malformed, |file| file.table[TEXT].offset -= 1);
    refuses(ElfError::Malformed, |file| file.table[TEXT].address += 1);
}

#[test]
fn a_file_with_nothing_to_load_is_refused() {
    refuses(ElfError::NoSegments, |file| file.table.clear());
    refuses(ElfError::NoSegments, |file| file.table.drain(..EMPTY).for_each(drop));
    // What size its entries would have does not matter to a table without any.
    refuses(ElfError::NoSegments, |file| {
        file.table.clear();
        file.table_entry = 0;
    });
}

#[test]
fn a_file_with_one_segment_too_many_is_refused() {
    refuses(ElfError::TooManySegments, |file| file.many(1));
}

#[test]
fn a_segment_in_page_zero_is_refused() {
    refuses(ElfError::OutsideUserSpace, |file| file.table[READ_ONLY].address = 0);
}

#[test]
fn a_segment_in_kernel_space_is_refused() {
    let kernel = 0xffff_8000_0000_0000;
    refuses(ElfError::OutsideUserSpace, |file| file.table[READ_ONLY].address = kernel);
}

#[test]
fn two_segments_in_one_page_are_refused() {
    // Right before the code, and in its second page.
    refuses(ElfError::Overlapping, |file| file.table[READ_ONLY].memory_bytes = PAGE + 1);
    refuses(ElfError::Overlapping, |file| file.table[READ_ONLY].address = 0x40_2000);
}

#[test]
fn two_segments_in_the_same_place_are_refused() {
    refuses(ElfError::Overlapping, |file| file.table.push(file.table[TEXT]));
}

#[test]
fn a_segment_within_another_is_refused() {
    // `DATA` takes four pages.
    refuses(ElfError::Overlapping, |file| file.table[READ_ONLY].address = 0x40_7000);
}

#[test]
fn a_segment_both_writable_and_executable_is_refused() {
    refuses(ElfError::WriteAndExecute, |file| file.table[TEXT].flags |= WRITE);
    refuses(ElfError::WriteAndExecute, |file| file.table[DATA].flags |= EXECUTE);
    refuses(ElfError::WriteAndExecute, |file| file.table[DATA].flags = WRITE | EXECUTE);
}

#[test]
fn a_segment_that_cannot_be_read_is_refused() {
    for place in [DATA, TEXT, READ_ONLY] {
        refuses(ElfError::Unreadable, |file| file.table[place].flags &= !READ);
    }
}

#[test]
fn a_file_that_needs_too_much_memory_is_refused() {
    refuses(ElfError::TooLarge, |file| file.table[DATA].memory_bytes = 1 << 30);
}

#[test]
fn an_entry_outside_executable_segments_is_refused() {
    refuses(ElfError::BadEntry, |file| file.entry = 0);
    refuses(ElfError::BadEntry, |file| file.entry = u64::MAX);
    refuses(ElfError::BadEntry, |file| file.entry = file.table[READ_ONLY].address);
    refuses(ElfError::BadEntry, |file| file.entry = file.table[DATA].address);
    refuses(ElfError::BadEntry, |file| file.table[TEXT].flags = READ);
}
