//! Writes small ELF files, byte by byte and not with the structures that the parser reads by.

use core::ops::Range;
use std::{vec, vec::Vec};

use super::MAX_SEGMENTS;

pub const PAGE: u64 = 4096;
/// Where segments may lie.
pub const SPACE: Range<u64> = 0x1000..0x7000_0000_0000;
pub const HEADER_BYTES: usize = 64;
pub const TABLE_ENTRY: usize = 56;

pub const PT_LOAD: u32 = 1;
pub const PT_DYNAMIC: u32 = 2;
pub const PT_INTERP: u32 = 3;
const PT_GNU_STACK: u32 = 0x6474_e551;

pub const EXECUTE: u32 = 1;
pub const WRITE: u32 = 2;
pub const READ: u32 = 4;

/// Places in the good file's table, which is not sorted by address.
pub const DATA: usize = 0;
pub const TEXT: usize = 1;
pub const READ_ONLY: usize = 2;
pub const EMPTY: usize = 3;

/// A program header.
#[derive(Clone, Copy)]
pub struct Entry {
    pub kind: u32,
    pub flags: u32,
    pub offset: u64,
    pub address: u64,
    pub file_bytes: u64,
    pub memory_bytes: u64,
}

impl Entry {
    /// Memory that takes nothing of the file.
    pub fn zeros(flags: u32, address: u64, memory_bytes: u64) -> Self {
        let offset = address % PAGE;
        Self { kind: PT_LOAD, flags, offset, address, file_bytes: 0, memory_bytes }
    }
}

/// A file's parts, for tests to change one of them.
pub struct File {
    pub class: u8,
    pub data: u8,
    pub kind: u16,
    pub machine: u16,
    pub entry: u64,
    pub table_offset: u64,
    pub header_bytes: u16,
    pub table_entry: u16,
    /// What the header says where that is not the table's length.
    pub count: Option<u16>,
    pub table: Vec<Entry>,
    pub length: usize,
}

impl File {
    /// A program without faults. Its data end with the file, its code with a page.
    pub fn good() -> Self {
        let load = |flags, offset, address, file_bytes, memory_bytes| Entry {
            kind: PT_LOAD,
            flags,
            offset,
            address,
            file_bytes,
            memory_bytes,
        };
        let stack = Entry { kind: PT_GNU_STACK, ..Entry::zeros(READ | WRITE, 0, 0) };
        Self {
            class: 2,
            data: 1,
            kind: 2,
            machine: 62,
            entry: 0x40_1010,
            table_offset: HEADER_BYTES as u64,
            header_bytes: HEADER_BYTES as u16,
            table_entry: TABLE_ENTRY as u16,
            count: None,
            table: vec![
                load(READ | WRITE, 0x3ff0, 0x40_5ff0, 0x10, 0x2011),
                load(READ | EXECUTE, 0x1010, 0x40_1010, 0x1ff0, 0x1ff0),
                load(READ, 0, 0x40_0000, 0x800, 0x800),
                Entry::zeros(READ, 0, 0),
                stack,
            ],
            length: 0x4000,
        }
    }

    /// Makes one page of code the whole program.
    pub fn code_only(&mut self) {
        self.table = vec![Entry::zeros(READ | EXECUTE, 0x40_1000, PAGE)];
        self.entry = 0x40_1000;
    }

    /// Makes as many adjacent segments of one page as may be, and one more for each `more`.
    pub fn many(&mut self, more: u64) {
        self.table = (0..MAX_SEGMENTS as u64 + more)
            .map(|page| Entry::zeros(READ | EXECUTE, 0x40_0000 + page * PAGE, PAGE))
            .collect();
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(b"\x7fELF");
        header.extend([self.class, self.data, 1]);
        header.resize(16, 0);
        header.extend(self.kind.to_le_bytes());
        header.extend(self.machine.to_le_bytes());
        header.extend(1u32.to_le_bytes());
        header.extend(self.entry.to_le_bytes());
        header.extend(self.table_offset.to_le_bytes());
        header.extend([0; 8 + 4]);
        header.extend(self.header_bytes.to_le_bytes());
        header.extend(self.table_entry.to_le_bytes());
        header.extend(self.count.unwrap_or(self.table.len() as u16).to_le_bytes());
        header.extend([0; 3 * 2]);
        let mut table = Vec::new();
        for entry in &self.table {
            table.extend(entry.kind.to_le_bytes());
            table.extend(entry.flags.to_le_bytes());
            table.extend(entry.offset.to_le_bytes());
            table.extend(entry.address.to_le_bytes());
            table.extend(entry.address.to_le_bytes());
            table.extend(entry.file_bytes.to_le_bytes());
            table.extend(entry.memory_bytes.to_le_bytes());
            table.extend(PAGE.to_le_bytes());
        }
        let mut bytes: Vec<u8> = (0..self.length).map(|at| (at ^ at >> 8) as u8).collect();
        bytes[..HEADER_BYTES].copy_from_slice(&header);
        // A table that is said to lie outside stands nowhere.
        let start = self.table_offset as usize;
        if let Some(place) =
            start.checked_add(table.len()).and_then(|end| bytes.get_mut(start..end))
        {
            place.copy_from_slice(&table);
        }
        bytes
    }
}
