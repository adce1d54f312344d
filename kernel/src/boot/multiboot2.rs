//! Multiboot2's information (specification 2.0, 3.6), read by the `multiboot2` crate.

use arrayvec::{ArrayString, ArrayVec};
use multiboot2::{BootInformation, BootInformationHeader, MemoryAreaType};

use super::{AcpiRoot, BootError, BootInfo, CommandLine, Framebuffer, MemoryMap, Module};

/// Reads the information, which starts at `bytes` and is aligned to 8.
///
/// # Errors
/// A [`BootError`] that says what is wrong.
pub fn parse(bytes: &[u8]) -> Result<BootInfo, BootError> {
    let damaged = BootError::Damaged("the Multiboot2 information");
    let size = bytes.first_chunk::<4>().map(|size| u32::from_le_bytes(*size) as usize);
    if !bytes.as_ptr().cast::<u64>().is_aligned() || size.is_none_or(|size| size > bytes.len()) {
        return Err(damaged);
    }
    // SAFETY: aligned, and as long as it says it is.
    let information = unsafe { BootInformation::load(bytes.as_ptr().cast::<BootInformationHeader>()) };
    let information = information.map_err(|_| damaged)?;
    let command_line = information.command_line_tag().and_then(|tag| tag.cmdline().ok());
    let loader = information.boot_loader_name_tag().and_then(|tag| tag.name().ok());
    BootInfo {
        loader: ArrayString::from(loader.unwrap_or("Multiboot2")).unwrap_or_default(),
        memory: memory(&information)?,
        modules: modules(&information)?,
        command_line: CommandLine::new(command_line.unwrap_or("")),
        acpi: acpi(&information),
        framebuffer: framebuffer(&information),
    }
    .check()
}

fn memory(information: &BootInformation<'_>) -> Result<MemoryMap, BootError> {
    let tag = information.memory_map_tag().ok_or(BootError::NoMemoryMap)?;
    let mut map = MemoryMap::default();
    for area in tag.memory_areas() {
        let usable = area.typ() == MemoryAreaType::Available;
        map.add(area.start_address(), area.size(), usable)?;
    }
    Ok(map)
}

fn modules(information: &BootInformation<'_>) -> Result<ArrayVec<Module, 8>, BootError> {
    let mut modules = ArrayVec::new();
    for tag in information.module_tags() {
        let module =
            Module { start: tag.start_address().into(), end: tag.end_address().into() };
        modules.try_push(module).map_err(|_| BootError::TooManyModules)?;
    }
    Ok(modules)
}

fn acpi(information: &BootInformation<'_>) -> Option<AcpiRoot> {
    let new = information.rsdp_v2_tag().filter(|tag| tag.checksum_is_valid());
    let old = information.rsdp_v1_tag().filter(|tag| tag.checksum_is_valid());
    new.map(|tag| AcpiRoot { revision: tag.revision(), address: tag.xsdt_address() as u64 })
        .or(old.map(|tag| AcpiRoot { revision: 0, address: tag.rsdt_address() as u64 }))
}

fn framebuffer(information: &BootInformation<'_>) -> Option<Framebuffer> {
    let tag = information.framebuffer_tag()?.ok()?;
    Some(Framebuffer {
        address: tag.address(),
        pitch: tag.pitch(),
        width: tag.width(),
        height: tag.height(),
        bits_per_pixel: tag.bpp(),
    })
}
