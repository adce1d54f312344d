//! PVH's start information (Xen, `public/arch-x86/hvm/start_info.h`), as QEMU gives it.
#![forbid(unsafe_code)]

use arrayvec::{ArrayString, ArrayVec};

use super::{AcpiRoot, BootError, BootInfo, CommandLine, MemoryMap, Module};

/// `"xEn3"` with its top bit set.
const MAGIC: u32 = 0x336e_c578;
const INFO_BYTES: usize = 56;
const MODULE_BYTES: usize = 32;
const REGION_BYTES: usize = 24;
/// E820's type of memory that is free to use.
const RAM: u32 = 1;
/// More entries than any firmware makes.
const MAX_ENTRIES: u32 = 512;
const COMMAND_LINE_BYTES: usize = super::command_line::MAX_BYTES;

const INFO_DAMAGED: BootError = BootError::Damaged("the PVH start information");

fn word(bytes: &[u8], offset: usize) -> u32 {
    let word = bytes.get(offset..).and_then(|bytes| bytes.first_chunk());
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

fn long(bytes: &[u8], offset: usize) -> u64 {
    u64::from(word(bytes, offset)) | u64::from(word(bytes, offset + 4)) << 32
}

/// Reads the information at physical address `at`. `read` gives so many bytes of physical memory,
/// or nothing where there is none.
///
/// # Errors
/// A [`BootError`] that says what is wrong.
pub fn parse<'a>(
    at: u64,
    read: impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<BootInfo, BootError> {
    let info = read(at, INFO_BYTES).ok_or(INFO_DAMAGED)?;
    if word(info, 0) != MAGIC {
        return Err(INFO_DAMAGED);
    }
    // The memory map came with version 1.
    if word(info, 4) < 1 {
        return Err(BootError::NoMemoryMap);
    }
    BootInfo {
        loader: ArrayString::from("PVH").unwrap_or_default(),
        memory: memory(long(info, 40), word(info, 48), &read)?,
        modules: modules(long(info, 16), word(info, 12), &read)?,
        command_line: command_line(long(info, 24), &read),
        acpi: acpi(long(info, 32), &read),
        framebuffer: None,
    }
    .check()
}

fn entries<'a>(
    at: u64,
    count: u32,
    bytes: usize,
    read: impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<&'a [u8], BootError> {
    if count > MAX_ENTRIES {
        return Err(INFO_DAMAGED);
    }
    read(at, count as usize * bytes).ok_or(INFO_DAMAGED)
}

fn memory<'a>(
    at: u64,
    count: u32,
    read: impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<MemoryMap, BootError> {
    if at == 0 || count == 0 {
        return Err(BootError::NoMemoryMap);
    }
    let mut map = MemoryMap::default();
    for entry in entries(at, count, REGION_BYTES, read)?.chunks_exact(REGION_BYTES) {
        map.add(long(entry, 0), long(entry, 8), word(entry, 16) == RAM)?;
    }
    Ok(map)
}

fn modules<'a>(
    at: u64,
    count: u32,
    read: impl Fn(u64, usize) -> Option<&'a [u8]>,
) -> Result<ArrayVec<Module, 8>, BootError> {
    let mut modules = ArrayVec::new();
    for entry in entries(at, count, MODULE_BYTES, read)?.chunks_exact(MODULE_BYTES) {
        let start = long(entry, 0);
        let end = start.checked_add(long(entry, 8)).ok_or(BootError::ModuleOutsideMemory)?;
        modules.try_push(Module { start, end }).map_err(|_| BootError::TooManyModules)?;
    }
    Ok(modules)
}

fn command_line<'a>(at: u64, read: impl Fn(u64, usize) -> Option<&'a [u8]>) -> CommandLine {
    let bytes = if at == 0 { None } else { read(at, COMMAND_LINE_BYTES) };
    let bytes = bytes.unwrap_or(&[]);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    CommandLine::new(core::str::from_utf8(&bytes[..end]).unwrap_or(""))
}

/// The root pointer structure (ACPI specification, 5.2.5.3).
fn acpi<'a>(at: u64, read: impl Fn(u64, usize) -> Option<&'a [u8]>) -> Option<AcpiRoot> {
    let pointer = read(at, 36).filter(|bytes| at != 0 && bytes.starts_with(b"RSD PTR "))?;
    Some(match pointer[15] {
        0 => AcpiRoot { revision: 0, address: word(pointer, 16).into() },
        revision => AcpiRoot { revision, address: long(pointer, 24) },
    })
}
