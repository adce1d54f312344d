//! The plan: which pages with which rights, and which bytes of the file go there.

use core::ops::Range;

use arrayvec::ArrayVec;
use goblin::elf64::{
    header::{
        EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_X86_64, ET_DYN, ET_EXEC, Header,
    },
    program_header::{PF_R, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader},
};

use crate::ElfError;

/// How many segments a program may have.
pub const MAX_SEGMENTS: usize = 16;
const PAGE: u64 = 4096;
/// Programs lie above page 0 and below the area of stacks.
const ADDRESSES: Range<u64> = PAGE..0x7000_0000_0000;
/// The most memory that all segments together may need, in pages: 1 GiB.
const MAX_PAGES: u64 = 1 << 18;
const HEADER_BYTES: usize = size_of::<Header>();
const PROGRAM_HEADER_BYTES: usize = size_of::<ProgramHeader>();

/// How to load a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first instruction.
    pub entry: u64,
    /// What to map, sorted by address; no two share a page.
    pub segments: ArrayVec<Segment, MAX_SEGMENTS>,
}

/// A range of pages. What the file does not fill is zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Address of the first page.
    pub start: u64,
    /// How many pages.
    pub pages: u64,
    /// Which bytes of the file.
    pub file: Range<usize>,
    /// Where in the first page they go.
    pub offset: usize,
    /// What the program may do there.
    pub access: SegmentAccess,
}

/// Rights of a segment. There is no such thing as writable and executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentAccess {
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

impl Segment {
    /// One past the last page.
    pub fn end(&self) -> u64 {
        self.start + self.pages * PAGE
    }

    /// The bytes of `file`, which the plan was made of, that go here.
    pub fn file_bytes<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        file.get(self.file.clone()).unwrap_or(&[])
    }
}

impl Plan {
    /// Checks `file` and plans how to load it.
    ///
    /// # Errors
    /// The [`ElfError`] that was found first.
    pub fn parse(file: &[u8]) -> Result<Self, ElfError> {
        let header = header(file)?;
        let mut segments = ArrayVec::<Segment, MAX_SEGMENTS>::new();
        for program_header in program_headers(file, &header)? {
            let program_header = program_header?;
            match program_header.p_type {
                PT_INTERP | PT_DYNAMIC => return Err(ElfError::Dynamic),
                PT_LOAD if program_header.p_memsz != 0 => {
                    let segment = segment(&program_header, file.len())?;
                    let place = segments.partition_point(|other| other.start < segment.start);
                    segments.try_insert(place, segment).map_err(|_| ElfError::TooManySegments)?;
                }
                _ => {}
            }
        }
        check_together(header.e_entry, &segments)?;
        Ok(Self { entry: header.e_entry, segments })
    }
}

/// The header's bytes where a header may stand: the file's own may be anywhere.
#[repr(align(8))]
struct Aligned([u8; HEADER_BYTES]);

fn header(file: &[u8]) -> Result<Header, ElfError> {
    if !file.starts_with(ELFMAG) {
        return Err(ElfError::NotElf);
    }
    match (file.get(EI_CLASS), file.get(EI_DATA)) {
        (Some(&ELFCLASS64), Some(&ELFDATA2LSB)) => {}
        (Some(&ELFCLASS64), Some(_)) => return Err(ElfError::BigEndian),
        (Some(_), Some(_)) => return Err(ElfError::Not64Bit),
        _ => return Err(ElfError::Truncated),
    }
    let bytes = Aligned(*file.first_chunk().ok_or(ElfError::Truncated)?);
    let header = *Header::from_bytes(&bytes.0);
    match header.e_type {
        ET_EXEC => {}
        ET_DYN => return Err(ElfError::Dynamic),
        _ => return Err(ElfError::NotExecutable),
    }
    if header.e_machine != EM_X86_64 {
        return Err(ElfError::WrongMachine);
    }
    if usize::from(header.e_ehsize) != HEADER_BYTES
        || header.e_phnum != 0 && usize::from(header.e_phentsize) != PROGRAM_HEADER_BYTES
    {
        return Err(ElfError::Malformed);
    }
    Ok(header)
}

fn program_headers<'a>(
    file: &'a [u8],
    header: &Header,
) -> Result<impl Iterator<Item = Result<ProgramHeader, ElfError>> + 'a, ElfError> {
    let start = usize::try_from(header.e_phoff).map_err(|_| ElfError::Truncated)?;
    let bytes = usize::from(header.e_phnum) * PROGRAM_HEADER_BYTES;
    let end = start.checked_add(bytes).ok_or(ElfError::Truncated)?;
    let table = file.get(start..end).ok_or(ElfError::Truncated)?;
    Ok(table.chunks_exact(PROGRAM_HEADER_BYTES).map(|entry| {
        let entry = entry.first_chunk().ok_or(ElfError::Truncated)?;
        Ok(read_program_header(entry))
    }))
}

/// Read field by field: the table may stand anywhere in the file, so the structure need not be
/// aligned.
fn read_program_header(entry: &[u8; PROGRAM_HEADER_BYTES]) -> ProgramHeader {
    let word = |at: usize| entry[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
    ProgramHeader {
        p_type: word(0),
        p_flags: word(4),
        p_offset: long(8),
        p_vaddr: long(16),
        p_paddr: long(24),
        p_filesz: long(32),
        p_memsz: long(40),
        p_align: long(48),
    }
}

fn segment(header: &ProgramHeader, file_bytes: usize) -> Result<Segment, ElfError> {
    let access = match (header.p_flags & PF_R, header.p_flags & PF_W, header.p_flags & PF_X) {
        (_, PF_W, PF_X) => return Err(ElfError::WriteAndExecute),
        (0, _, _) => return Err(ElfError::Unreadable),
        (_, PF_W, _) => SegmentAccess::ReadWrite,
        (_, _, PF_X) => SegmentAccess::ReadExecute,
        _ => SegmentAccess::Read,
    };
    if header.p_filesz > header.p_memsz || header.p_offset % PAGE != header.p_vaddr % PAGE {
        return Err(ElfError::Malformed);
    }
    let file_end = header.p_offset.checked_add(header.p_filesz).ok_or(ElfError::Truncated)?;
    if file_end > file_bytes as u64 {
        return Err(ElfError::Truncated);
    }
    let end = header.p_vaddr.checked_add(header.p_memsz).ok_or(ElfError::OutsideUserSpace)?;
    if header.p_vaddr < ADDRESSES.start || end > ADDRESSES.end {
        return Err(ElfError::OutsideUserSpace);
    }
    let start = header.p_vaddr / PAGE * PAGE;
    Ok(Segment {
        start,
        pages: (end - start).div_ceil(PAGE),
        file: header.p_offset as usize..file_end as usize,
        offset: (header.p_vaddr - start) as usize,
        access,
    })
}

/// Checks what no single segment shows.
fn check_together(entry: u64, segments: &[Segment]) -> Result<(), ElfError> {
    if segments.is_empty() {
        return Err(ElfError::NoSegments);
    }
    if segments.windows(2).any(|pair| pair[0].end() > pair[1].start) {
        return Err(ElfError::Overlapping);
    }
    let mut pages = 0;
    for segment in segments {
        pages += segment.pages;
        if pages > MAX_PAGES {
            return Err(ElfError::TooLarge);
        }
    }
    let holds_entry = |segment: &Segment| {
        segment.access == SegmentAccess::ReadExecute
            && (segment.start..segment.end()).contains(&entry)
    };
    if segments.iter().any(holds_entry) { Ok(()) } else { Err(ElfError::BadEntry) }
}
