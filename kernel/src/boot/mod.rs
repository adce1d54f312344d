//! What the loader said, whichever it was, as one [`BootInfo`]: checked once here, trusted after.

pub mod command_line;
pub mod memory_map;
pub mod multiboot2;
pub mod pvh;
#[cfg(test)]
mod tests;

use arrayvec::{ArrayString, ArrayVec};
use orbital_abi::framebuffer::Framebuffer;

pub use command_line::CommandLine;
pub use memory_map::{MemoryMap, Region};

/// How many modules a loader can bring. One archive is what the project's own images have.
pub const MAX_MODULES: usize = 8;

/// What the loader said.
#[derive(Debug)]
pub struct BootInfo {
    /// Which loader, as it calls itself.
    pub loader: ArrayString<64>,
    /// Which physical memory there is.
    pub memory: MemoryMap,
    /// What it loaded beside the kernel.
    pub modules: ArrayVec<Module, MAX_MODULES>,
    /// What the user typed.
    pub command_line: CommandLine,
    /// Where ACPI's tables start.
    pub acpi: Option<AcpiRoot>,
    /// What it set up to draw on, where that is made of coloured pixels.
    pub framebuffer: Option<Framebuffer>,
}

/// A file that the loader put into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    /// Physical address of its first byte.
    pub start: u64,
    /// One past its last byte.
    pub end: u64,
}

/// The root table of ACPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcpiRoot {
    /// 0: `address` is the RSDT's; else the XSDT's.
    pub revision: u8,
    /// Its physical address.
    pub address: u64,
}

/// Why the loader's information is unusable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// The structure itself is cut off or malformed.
    Damaged(&'static str),
    /// There is no memory map.
    NoMemoryMap,
    /// The memory map has no usable memory.
    NoUsableMemory,
    /// The memory map has more regions than the kernel keeps.
    TooManyRegions,
    /// The loader brought no module, so there is no init.
    NoModule,
    /// More modules than the kernel keeps.
    TooManyModules,
    /// Two modules overlap.
    OverlappingModules,
    /// A module lies outside usable memory, or ends before it starts.
    ModuleOutsideMemory,
}

impl core::fmt::Display for BootError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Damaged(what) => write!(f, "{what} is damaged"),
            Self::NoMemoryMap => f.write_str("there is no memory map"),
            Self::NoUsableMemory => f.write_str("the memory map has no usable memory"),
            Self::TooManyRegions => f.write_str("the memory map has too many regions"),
            Self::NoModule => f.write_str("no module was loaded, so there is no init"),
            Self::TooManyModules => f.write_str("too many modules were loaded"),
            Self::OverlappingModules => f.write_str("two modules overlap"),
            Self::ModuleOutsideMemory => f.write_str("a module lies outside usable memory"),
        }
    }
}

impl core::error::Error for BootError {}

impl BootInfo {
    /// Usable memory, whole frames of it, less `reserved`.
    pub fn usable<'a>(
        &'a self,
        reserved: &'a [core::ops::Range<u64>],
    ) -> impl Iterator<Item = core::ops::Range<u64>> + 'a {
        self.memory.usable(reserved)
    }

    /// How many whole frames are usable by the loader's map.
    pub fn usable_frames(&self) -> u64 {
        self.usable(&[]).map(|range| (range.end - range.start) / memory_map::FRAME).sum()
    }

    /// Checks what no single entry shows. Both parsers end with it.
    fn check(self) -> Result<Self, BootError> {
        if self.memory.usable(&[]).next().is_none() {
            return Err(BootError::NoUsableMemory);
        }
        if self.modules.is_empty() {
            return Err(BootError::NoModule);
        }
        for (index, module) in self.modules.iter().enumerate() {
            if module.start >= module.end || !self.memory.contains(module.start, module.end) {
                return Err(BootError::ModuleOutsideMemory);
            }
            let overlaps = |other: &Module| module.start < other.end && other.start < module.end;
            if self.modules[..index].iter().any(overlaps) {
                return Err(BootError::OverlappingModules);
            }
        }
        Ok(self)
    }
}

impl BootInfo {
    /// Logs what the loader said.
    pub fn describe(&self) {
        log::info!(target: "boot", "started by {}", self.loader);
        log::info!(target: "boot", "command line: {}", self.command_line.as_str());
        let kibibytes = self.usable_frames() * memory_map::FRAME / 1024;
        log::info!(target: "memory", "{kibibytes} KiB usable");
        for region in self.memory.regions() {
            let kind = if region.usable { "usable" } else { "reserved" };
            let core::ops::Range { start, end } = region.range;
            log::debug!(target: "memory", "{start:#014x}..{end:#014x} {kind}");
        }
        for module in &self.modules {
            log::debug!(target: "boot", "module at {:#x}..{:#x}", module.start, module.end);
        }
        if let Some(framebuffer) = &self.framebuffer {
            let Framebuffer { width, height, bits_per_pixel, .. } = framebuffer;
            log::debug!(target: "boot", "framebuffer {width}x{height}x{bits_per_pixel}");
        }
    }
}
