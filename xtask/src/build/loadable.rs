//! ELF files without what only debuggers read. GRUB reads all sections of a kernel, and every machine
//! reads the archive of programs: with the debugger's, that is most of a boot in an emulator.
#![forbid(unsafe_code)]

use goblin::elf::{
    Elf, header::header64::SIZEOF_EHDR, program_header::program_header64::SIZEOF_PHDR,
};

use crate::{Failure, Status};

// Where the header says how many sections there are, and where (ELF specification, figure 1-3): the
// file's offset to them, their number, and which one has their names.
const SECTIONS_OFFSET: usize = 0x28;
const SECTIONS_COUNT: usize = 0x3c;
const SECTION_OF_NAMES: usize = 0x3e;

/// The file `name` up to the end of its last segment, and without sections.
///
/// # Errors
/// [`Status::BuildFailed`] when it is no ELF file for 64 bits.
pub fn loadable(name: &str, mut file: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let failed = |why: &str| Failure::new(Status::BuildFailed, format!("{name}: {why}"));
    let end = {
        let elf = Elf::parse(&file).map_err(|error| failed(&error.to_string()))?;
        if !elf.is_64 {
            return Err(failed("no ELF file for 64 bits"));
        }
        let headers = elf.header.e_phoff + u64::from(elf.header.e_phnum) * SIZEOF_PHDR as u64;
        let ends = elf.program_headers.iter().map(|segment| segment.p_offset + segment.p_filesz);
        ends.fold(headers, u64::max)
    };
    file.truncate(usize::try_from(end).unwrap_or(usize::MAX).max(SIZEOF_EHDR));
    file[SECTIONS_OFFSET..SECTIONS_OFFSET + 8].fill(0);
    file[SECTIONS_COUNT..SECTIONS_COUNT + 2].fill(0);
    file[SECTION_OF_NAMES..SECTION_OF_NAMES + 2].fill(0);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_stays_and_the_rest_goes() {
        // This test itself is an ELF file, for Linux.
        let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let small = loadable("x", file.clone()).unwrap();
        assert!(small.len() < file.len());
        let (before, after) = (Elf::parse(&file).unwrap(), Elf::parse(&small).unwrap());
        assert_eq!(before.program_headers, after.program_headers);
        assert_eq!((before.entry, after.section_headers.len()), (after.entry, 0));
        // But for the header, all that is there is what was there.
        assert!(small[SIZEOF_EHDR..] == file[SIZEOF_EHDR..small.len()]);
        assert!(loadable("x", small.clone()).unwrap() == small);
    }

    #[test]
    fn what_is_no_elf_file_is_told() {
        let failure = loadable("x", b"#!/bin/sh".to_vec()).unwrap_err();
        assert!(failure.to_string().starts_with("x: "), "{failure}");
    }
}
