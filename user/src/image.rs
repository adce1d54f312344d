//! The memory of a program that is about to start: bootstrap block, segments and stack.
//!
//! What is small lies in one memory object, which its creator maps once while it is filled: so a program of a few
//! pages takes a few system calls. Each part is mapped into the program by itself, with rights of its own, and the
//! program has no capability to any of it. A segment that is large has an object of its own.

use orbital_abi::{
    CapSlot, Error, Rights,
    arguments::MemoryMap,
    bootstrap::{Bootstrap, MAGIC},
    layout::{BOOTSTRAP_ADDRESS, PAGE_SIZE, STACK_SIZE, STACK_TOP},
};
use orbital_elf::{Plan, Segment, SegmentAccess};

use crate::{
    memory::{MappingMut, MemoryObject, map},
    process::Process,
};

/// The most pages that lie in one object: those whose books the kernel keeps in a short list.
const SHARED: u64 = 64;
const STACK_PAGES: u64 = STACK_SIZE / PAGE_SIZE;
/// Segments begin behind the bootstrap block's page.
const FIRST: u64 = size_of::<Bootstrap>() as u64 / PAGE_SIZE;

/// The memory, as long as its creator fills it.
pub(crate) struct Image {
    memory: MemoryObject,
    /// All of it but the stack, which nobody fills.
    filled: MappingMut,
}

/// The page of the shared object where a segment begins that finds `next` as the first free one; `None` where it is
/// too large for that.
fn place(next: &mut u64, segment: &Segment) -> Option<u64> {
    let end = *next + segment.pages;
    (end + STACK_PAGES <= SHARED).then(|| core::mem::replace(next, end))
}

impl Image {
    /// Loads the program in `file` as `plan` says, which was made of it, and maps it and its stack into `process`.
    ///
    /// # Errors
    /// Those of [`MemoryObject::create`] and [`map`].
    pub(crate) fn load(process: &Process, plan: &Plan, file: &[u8]) -> Result<Self, Error> {
        let mut pages = FIRST;
        for segment in &plan.segments {
            place(&mut pages, segment);
        }
        let stack = pages * PAGE_SIZE;
        let memory = MemoryObject::create(stack + STACK_SIZE)?;
        let mut filled = memory.map_write(stack)?;
        let mut next = FIRST;
        for segment in &plan.segments {
            let content = segment.file_bytes(file);
            let Some(page) = place(&mut next, segment) else {
                load_apart(process, segment, content)?;
                continue;
            };
            let offset = page * PAGE_SIZE;
            fill(&mut filled[offset as usize..], segment, content);
            map_segment(process, segment, &memory, offset)?;
        }
        let range = Range { address: STACK_TOP - STACK_SIZE, offset: stack, bytes: STACK_SIZE };
        map_into(process, &memory, range, Rights::READ | Rights::WRITE)?;
        Ok(Self { memory, filled })
    }

    /// The bootstrap block, which hands over nothing yet.
    pub(crate) fn block(&mut self) -> &mut Bootstrap {
        const { assert!(CapSlot::NULL.bits() == 0) };
        // SAFETY: the block is plain numbers, for which zeroes, as new memory has them, are values as good as any; it
        // is the first page, which nobody else has mapped yet.
        let block = unsafe { &mut *self.filled.as_mut_ptr().cast::<Bootstrap>() };
        block.magic = MAGIC;
        block
    }

    /// Maps the bootstrap block into `process`, now that it is written.
    ///
    /// # Errors
    /// Those of [`map`].
    pub(crate) fn finish(self, process: &Process) -> Result<(), Error> {
        let range = Range { address: BOOTSTRAP_ADDRESS, offset: 0, bytes: FIRST * PAGE_SIZE };
        map_into(process, &self.memory, range, Rights::READ)
    }
}

/// A segment that is large: its memory is an object of its own.
fn load_apart(process: &Process, segment: &Segment, content: &[u8]) -> Result<(), Error> {
    let memory = MemoryObject::create(segment.pages * PAGE_SIZE)?;
    if !content.is_empty() {
        fill(&mut memory.map_write((segment.offset + content.len()) as u64)?, segment, content);
    }
    map_segment(process, segment, &memory, 0)
}

/// Copies the file's part of a segment to its place in `pages`, which begin where the segment does.
fn fill(pages: &mut [u8], segment: &Segment, content: &[u8]) {
    pages[segment.offset..segment.offset + content.len()].copy_from_slice(content);
}

/// Maps a segment, which begins at `offset` of `memory`.
fn map_segment(
    process: &Process,
    segment: &Segment,
    memory: &MemoryObject,
    offset: u64,
) -> Result<(), Error> {
    let rights = match segment.access {
        SegmentAccess::Read => Rights::READ,
        SegmentAccess::ReadWrite => Rights::READ | Rights::WRITE,
        SegmentAccess::ReadExecute => Rights::READ | Rights::EXECUTE,
    };
    let range = Range { address: segment.start, offset, bytes: segment.pages * PAGE_SIZE };
    map_into(process, memory, range, rights)
}

/// What goes where.
struct Range {
    /// In the program.
    address: u64,
    /// In the object.
    offset: u64,
    bytes: u64,
}

fn map_into(
    process: &Process,
    memory: &MemoryObject,
    Range { address, offset, bytes }: Range,
    rights: Rights,
) -> Result<(), Error> {
    let (process, memory) = (process.slot(), memory.slot());
    // SAFETY: the memory is mapped into another process.
    unsafe { map(&MemoryMap { process, memory, address, offset, bytes, rights }) }
}
