//! Why a file is no program that can be loaded.

/// One phrase for each reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// The magic number is missing.
    NotElf,
    /// It is for 32-bit machines.
    Not64Bit,
    /// It is for big-endian machines.
    BigEndian,
    /// It is for another processor.
    WrongMachine,
    /// It is an object file or a library.
    NotExecutable,
    /// It needs a dynamic linker, or is to be relocated.
    Dynamic,
    /// A header or segment reaches over the end of the file.
    Truncated,
    /// A header contradicts itself.
    Malformed,
    /// There is nothing to load.
    NoSegments,
    /// More segments than a program may have.
    TooManySegments,
    /// A segment lies where programs may not.
    OutsideUserSpace,
    /// Two segments share a page.
    Overlapping,
    /// A segment is both writable and executable.
    WriteAndExecute,
    /// A segment can't be read.
    Unreadable,
    /// All segments together are larger than a program may be.
    TooLarge,
    /// The entry point lies in no executable segment.
    BadEntry,
}

impl core::fmt::Display for ElfError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotElf => "not an ELF file",
            Self::Not64Bit => "a 32-bit ELF; Orbital runs 64-bit programs",
            Self::BigEndian => "a big-endian ELF",
            Self::WrongMachine => "an ELF for another processor",
            Self::NotExecutable => "an ELF that is no executable",
            Self::Dynamic => "a dynamically linked ELF; Orbital runs static programs",
            Self::Truncated => "a truncated ELF: a part of it lies behind the file's end",
            Self::Malformed => "an ELF whose headers contradict themselves",
            Self::NoSegments => "an ELF with nothing to load",
            Self::TooManySegments => "an ELF with too many segments",
            Self::OutsideUserSpace => "an ELF with a segment outside user space",
            Self::Overlapping => "an ELF with overlapping segments",
            Self::WriteAndExecute => "an ELF with a segment both writable and executable",
            Self::Unreadable => "an ELF with a segment that can't be read",
            Self::TooLarge => "an ELF that needs too much memory",
            Self::BadEntry => "an ELF whose entry point lies in no executable segment",
        })
    }
}

impl core::error::Error for ElfError {}
