//! The kernel's symbol table, as the kernel reads it for its backtraces: a line for each function,
//! its address in 16 hexadecimal digits and its name, sorted.
#![forbid(unsafe_code)]

use goblin::elf::{Elf, sym::STT_FUNC};

use crate::{Failure, Status};

/// Its name in the archive.
pub const FILE: &str = "kernel.sym";

/// The table of the ELF file `kernel`.
///
/// # Errors
/// [`Status::BuildFailed`] when it is no ELF file.
pub fn table(kernel: &[u8]) -> Result<String, Failure> {
    let elf = Elf::parse(kernel)
        .map_err(|error| Failure::new(Status::BuildFailed, format!("the kernel: {error}")))?;
    let mut lines: Vec<_> = elf
        .syms
        .iter()
        .filter(|symbol| symbol.st_type() == STT_FUNC && symbol.st_value != 0)
        .filter_map(|symbol| {
            let name = elf.strtab.get_at(symbol.st_name)?;
            Some(format!("{:016x} {:#}\n", symbol.st_value, rustc_demangle::demangle(name)))
        })
        .collect();
    lines.sort();
    lines.dedup();
    Ok(lines.concat())
}
