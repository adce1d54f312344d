//! Multiboot2's information (specification 2.0, 3.6), read by the `multiboot2` crate.

use arrayvec::{ArrayString, ArrayVec};
use multiboot2::{
    BootInformation, BootInformationHeader, DynSizedStructure, FramebufferField, FramebufferType,
    MaybeDynSized, MemoryArea, MemoryAreaType, ModuleTag, RsdpV1Tag, RsdpV2Tag, TagHeader, TagType,
};

use orbital_abi::framebuffer::{Channel, Framebuffer};

use super::{AcpiRoot, BootError, BootInfo, CommandLine, MemoryMap, Module};

/// Total size and a reserved word, with which the information starts.
const HEADER_BYTES: usize = 8;

/// Reads the information, which starts at `bytes` and is aligned to 8.
///
/// # Errors
/// A [`BootError`] that says what is wrong.
pub fn parse(bytes: &[u8]) -> Result<BootInfo, BootError> {
    let damaged = BootError::Damaged("the Multiboot2 information");
    let size = bytes.first_chunk::<4>().map(|size| u32::from_le_bytes(*size) as usize);
    let complete = size.is_some_and(|size| (HEADER_BYTES..=bytes.len()).contains(&size));
    if !bytes.as_ptr().cast::<u64>().is_aligned() || !complete {
        return Err(damaged);
    }
    // SAFETY: aligned, has a header, and is as long as that says.
    let information =
        unsafe { BootInformation::load(bytes.as_ptr().cast::<BootInformationHeader>()) };
    let information = information.map_err(|_| damaged)?;
    if !information.tags().all(is_sound) {
        return Err(damaged);
    }
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

/// Whether a tag is what its type says. The crate checks that a tag lies in the information, but
/// panics over one that is too short for its own fields.
fn is_sound(tag: &DynSizedStructure<TagHeader>) -> bool {
    let (bytes, content) = (tag.header().size as usize, tag.payload());
    let word = |at: usize| content.get(at..).and_then(|content| content.first_chunk::<2>());
    // The size of the crate's structures is that of the tag, rounded up to 8.
    let fits = |wanted: usize| bytes >= wanted && bytes <= wanted.next_multiple_of(8);
    match TagType::from(tag.header().typ) {
        TagType::Module => bytes >= ModuleTag::BASE_SIZE,
        TagType::Mmap => {
            let size_of_one = content.first_chunk().map(|size| u32::from_le_bytes(*size) as usize);
            size_of_one == Some(size_of::<MemoryArea>())
                && content.len() >= 8
                && (content.len() - 8).is_multiple_of(size_of::<MemoryArea>())
        }
        TagType::AcpiV1 => fits(RsdpV1Tag::BASE_SIZE),
        TagType::AcpiV2 => fits(RsdpV2Tag::BASE_SIZE),
        // The type of its colours, then (24 bytes on) their description: a palette with its length,
        // or three fields of position and size.
        TagType::Framebuffer => match content.get(21) {
            Some(0) => word(24).is_some_and(|colours| {
                content.len() >= 26 + 3 * usize::from(u16::from_le_bytes(*colours))
            }),
            Some(1) => content.len() >= 24 + 6,
            kind => kind.is_some() && content.len() >= 24,
        },
        _ => true,
    }
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
        let module = Module { start: tag.start_address().into(), end: tag.end_address().into() };
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

/// Neither text nor a palette's numbers, which some loaders leave.
fn framebuffer(information: &BootInformation<'_>) -> Option<Framebuffer> {
    let tag = information.framebuffer_tag()?.ok()?;
    let FramebufferType::RGB { red, green, blue } = tag.buffer_type().ok()? else { return None };
    let channel = |field: FramebufferField| Channel { position: field.position, bits: field.size };
    let found = Framebuffer {
        address: tag.address(),
        width: tag.width(),
        height: tag.height(),
        pitch: tag.pitch(),
        bits_per_pixel: tag.bpp(),
        red: channel(red),
        green: channel(green),
        blue: channel(blue),
    };
    found.is_sound().then_some(found)
}
