//! The archive of programs that init was given.
#![forbid(unsafe_code)]

use orbital_abi::Error;
use tar_no_std::{ArchiveEntry, TarArchiveRef};

use crate::{memory::MemoryObject, start::bootstrap};

/// The archive, mapped.
#[derive(Clone, Copy, Debug)]
pub struct Archive(&'static [u8]);

impl Archive {
    /// Maps the archive, for good.
    ///
    /// # Errors
    /// [`Error::EmptySlot`] in a process that was not given one; those of a mapping.
    pub fn open() -> Result<Self, Error> {
        let block = bootstrap();
        if block.archive.is_null() {
            return Err(Error::EmptySlot);
        }
        // Others may want to open it again, so the capability stays.
        let memory = core::mem::ManuallyDrop::new(MemoryObject::from_slot(block.archive));
        let bytes = memory.map_read(block.archive_bytes)?.leak();
        Ok(Self(bytes.get(..block.archive_bytes as usize).unwrap_or(bytes)))
    }

    /// The file with this name.
    pub fn find(&self, name: &str) -> Option<&'static [u8]> {
        let archive: TarArchiveRef<'static> = TarArchiveRef::new(self.0).ok()?;
        let is_wanted = |entry: &ArchiveEntry<'_>| entry.filename().as_str() == Ok(name);
        archive.entries().find(is_wanted).map(|entry| entry.data())
    }
}
