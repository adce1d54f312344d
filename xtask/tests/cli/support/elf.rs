//! Small ELF files, good and hostile, written field by field.
#![forbid(unsafe_code)]

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const EXECUTABLE: u16 = 2;
const X86_64: u16 = 62;
const LOAD: u32 = 1;
const READ: u32 = 4;
const WRITE: u32 = 2;
const EXECUTE: u32 = 1;
const START: u64 = 0x40_0000;
const PAGE: u64 = 0x1000;

struct Segment {
    address: u64,
    flags: u32,
    file_bytes: u64,
}

/// A program of `segments`, the first of which has `code` at its start.
fn program(segments: &[Segment], code: &[u8]) -> Vec<u8> {
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
    file.resize(16, 0);
    file.extend(EXECUTABLE.to_le_bytes());
    file.extend(X86_64.to_le_bytes());
    file.extend(1_u32.to_le_bytes());
    file.extend(START.to_le_bytes());
    file.extend((HEADER_BYTES as u64).to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend(0_u32.to_le_bytes());
    for number in [HEADER_BYTES, PROGRAM_HEADER_BYTES, segments.len(), 0, 0, 0] {
        file.extend((number as u16).to_le_bytes());
    }
    for segment in segments {
        file.extend(LOAD.to_le_bytes());
        file.extend(segment.flags.to_le_bytes());
        let (bytes, address) = (segment.file_bytes, segment.address);
        for number in [PAGE, address, address, bytes, bytes, PAGE] {
            file.extend(number.to_le_bytes());
        }
    }
    file.resize(PAGE as usize, 0);
    file.extend(code);
    file.resize(2 * PAGE as usize, 0);
    file
}

fn text() -> Segment {
    Segment { address: START, flags: READ | EXECUTE, file_bytes: PAGE }
}

/// A program that ends itself with `code`.
pub fn exits_with(code: u8) -> Vec<u8> {
    // mov edi, code; mov eax, 33 (ProcessExit); syscall
    program(&[text()], &[0xbf, code, 0, 0, 0, 0xb8, 33, 0, 0, 0, 0x0f, 0x05])
}

/// Files that no kernel should start: a name, the file, and what the refusal must say.
pub fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let good = exits_with(0);
    let with = |at: usize, byte: u8| {
        let mut file = good.clone();
        file[at] = byte;
        file
    };
    let two = |address: u64, flags: u32| {
        program(&[text(), Segment { address, flags, file_bytes: PAGE }], &[])
    };
    vec![
        ("empty", Vec::new(), "not an ELF"),
        ("text", b"#!/bin/sh\necho hello\n".to_vec(), "not an ELF"),
        ("32-bit", with(4, 1), "32-bit"),
        ("big-endian", with(5, 2), "big-endian"),
        ("other-machine", with(18, 183), "another processor"),
        ("library", with(16, 3), "static"),
        ("object", with(16, 1), "no executable"),
        ("truncated", good[..good.len() - 1000].to_vec(), "truncated"),
        ("header-only", good[..HEADER_BYTES].to_vec(), "truncated"),
        ("half-header", good[..20].to_vec(), "truncated"),
        ("overlapping", two(START + PAGE - 1, READ), "contradict"),
        ("same-page", two(START, READ), "overlapping"),
        ("kernel-space", two(0xffff_ffff_8010_0000, READ), "outside user space"),
        ("non-canonical", two(0x8000_0000_0000, READ), "outside user space"),
        ("wrapping", two(u64::MAX - PAGE + 1, READ), "outside user space"),
        ("null-page", two(0, READ), "outside user space"),
        ("writable-and-executable", two(0x50_0000, READ | WRITE | EXECUTE), "both writable"),
        ("write-only", two(0x50_0000, WRITE), "can't be read"),
        ("no-segments", program(&[], &[]), "nothing to load"),
        ("entry-elsewhere", with(26, 0x60), "entry point"),
    ]
}
