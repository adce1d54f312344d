//! PVH's start information: a simulated physical memory holds it where the tests put it.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::{BootError, BootInfo, MIB, Module, check, outcome};
use crate::boot::pvh::parse;

/// Physical memory, all of it readable.
#[derive(Clone)]
struct Memory(Vec<u8>);

const INFO: usize = 0x100;
const REGIONS: usize = 0x400;
const MODULES: usize = 0x800;
const COMMAND_LINE: usize = 0xc00;
const ACPI: usize = 0x1800;
const DAMAGED: BootError = BootError::Damaged("the PVH start information");

impl Memory {
    /// What QEMU puts there: version 1, a map of two regions, one module, a command line, ACPI.
    fn good() -> Self {
        let mut memory = Self(vec![0; 0x2000]);
        memory.word(INFO, 0x336e_c578).word(INFO + 4, 1);
        memory.word(INFO + 12, 1).long(INFO + 16, MODULES as u64);
        memory.long(INFO + 24, COMMAND_LINE as u64).long(INFO + 32, ACPI as u64);
        memory.long(INFO + 40, REGIONS as u64).word(INFO + 48, 2);
        memory.region(0, 0, 0x9_fc00, 1).region(1, MIB, 127 * MIB, 1);
        memory.module(0, 4 * MIB, MIB);
        memory.bytes(COMMAND_LINE, b"log=trace\0behind");
        memory.bytes(ACPI, b"RSD PTR ").bytes(ACPI + 15, &[2]).long(ACPI + 24, 0x7fe_0000);
        memory
    }

    fn bytes(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn word(&mut self, at: usize, value: u32) -> &mut Self {
        self.bytes(at, &value.to_le_bytes())
    }

    fn long(&mut self, at: usize, value: u64) -> &mut Self {
        self.bytes(at, &value.to_le_bytes())
    }

    fn region(&mut self, index: usize, start: u64, bytes: u64, kind: u32) -> &mut Self {
        let at = REGIONS + 24 * index;
        self.long(at, start).long(at + 8, bytes).word(at + 16, kind)
    }

    fn module(&mut self, index: usize, start: u64, bytes: u64) -> &mut Self {
        let at = MODULES + 32 * index;
        self.long(at, start).long(at + 8, bytes)
    }

    fn read(&self, at: u64, bytes: usize) -> Option<&[u8]> {
        let at = usize::try_from(at).ok()?;
        self.0.get(at..at.checked_add(bytes)?)
    }

    fn parse(&self) -> Result<BootInfo, BootError> {
        parse(INFO as u64, |at, bytes| self.read(at, bytes))
    }
}

/// What comes of the good information after `change`.
fn after(change: impl FnOnce(&mut Memory) -> &mut Memory) -> Result<BootInfo, BootError> {
    let mut memory = Memory::good();
    change(&mut memory);
    memory.parse()
}

/// The error after `change`; it must not have been accepted.
fn error(change: impl FnOnce(&mut Memory) -> &mut Memory) -> BootError {
    after(change).expect_err("accepted")
}

#[test]
fn what_qemu_says_is_understood() {
    let boot_info = Memory::good().parse().unwrap();
    check(&boot_info);
    assert_eq!(&boot_info.loader[..], "PVH");
    assert_eq!(boot_info.usable(&[]).collect::<Vec<_>>(), [0..0x9_f000, MIB..128 * MIB]);
    assert_eq!(boot_info.modules[..], [Module { start: 4 * MIB, end: 5 * MIB }]);
    assert_eq!(boot_info.command_line.get("log"), Some("trace"));
    assert_eq!(boot_info.command_line.as_str(), "log=trace");
    let acpi = boot_info.acpi.unwrap();
    assert_eq!((acpi.revision, acpi.address), (2, 0x7fe_0000));
    assert_eq!(boot_info.framebuffer, None);
}

#[test]
fn an_old_acpi_table_is_named_by_its_first_address() {
    let boot_info = after(|memory| memory.bytes(ACPI + 15, &[0]).word(ACPI + 16, 0x1234));
    assert_eq!(
        boot_info.unwrap().acpi.map(|acpi| (acpi.revision, acpi.address)),
        Some((0, 0x1234))
    );
}

#[test]
fn what_is_not_there_is_done_without() {
    let boot_info = after(|memory| memory.long(INFO + 24, 0).long(INFO + 32, 0));
    let boot_info = boot_info.unwrap();
    assert_eq!((boot_info.command_line.as_str(), boot_info.acpi), ("", None));
    assert_eq!(after(|m| m.bytes(ACPI, b"NONSENSE")).unwrap().acpi, None);
    assert_eq!(after(|m| m.long(INFO + 32, u64::MAX - 4)).unwrap().acpi, None);
}

#[test]
fn another_magic_is_refused() {
    assert_eq!(error(|memory| memory.word(INFO, 0x336e_c579)), DAMAGED);
}

#[test]
fn a_map_that_is_absent_is_told_apart_from_one_without_memory() {
    assert_eq!(error(|m| m.word(INFO + 4, 0)), BootError::NoMemoryMap, "version 0");
    assert_eq!(error(|m| m.word(INFO + 48, 0)), BootError::NoMemoryMap);
    assert_eq!(error(|m| m.long(INFO + 40, 0)), BootError::NoMemoryMap);
    let reserved = error(|m| m.region(0, 0, MIB, 2).region(1, MIB, MIB, 7));
    assert_eq!(reserved, BootError::NoUsableMemory);
}

#[test]
fn tables_that_lie_nowhere_are_refused() {
    for at in [0x2000 - 24, u64::MAX, u64::MAX - 23] {
        assert_eq!(error(|memory| memory.long(INFO + 40, at)), DAMAGED, "{at:#x}");
        assert_eq!(error(|memory| memory.long(INFO + 16, at)), DAMAGED, "{at:#x}");
    }
}

#[test]
fn counts_that_no_firmware_makes_are_refused() {
    for count in [513, u32::MAX] {
        assert_eq!(error(|memory| memory.word(INFO + 48, count)), DAMAGED);
        assert_eq!(error(|memory| memory.word(INFO + 12, count)), DAMAGED);
    }
    let many = error(|memory| {
        memory.0.resize(0x4000, 0);
        memory.long(INFO + 40, 0x2000).word(INFO + 48, 200);
        for entry in 0..200 {
            memory.long(0x2000 + 24 * entry, entry as u64 * MIB).long(0x2008 + 24 * entry, 4096);
        }
        memory
    });
    assert_eq!(many, BootError::TooManyRegions);
}

#[test]
fn modules_must_lie_in_memory_and_apart() {
    assert_eq!(error(|m| m.word(INFO + 12, 0)), BootError::NoModule);
    let outside = BootError::ModuleOutsideMemory;
    assert_eq!(error(|m| m.module(0, 127 * MIB, 2 * MIB)), outside, "over the end");
    assert_eq!(error(|m| m.module(0, 4 * MIB, 0)), outside, "empty");
    assert_eq!(error(|m| m.module(0, u64::MAX, 2)), outside, "an overflow");
    assert_eq!(error(|m| m.module(0, 0xa_0000, 4096)), outside, "in a hole");
    let two = |start, bytes| {
        after(|m| m.word(INFO + 12, 2).module(1, start, bytes)).map(|boot| boot.modules.len())
    };
    assert_eq!(two(5 * MIB, MIB), Ok(2), "side by side");
    for (start, bytes) in [(4 * MIB, MIB), (5 * MIB - 1, 1), (3 * MIB, MIB + 1), (MIB, 100 * MIB)] {
        assert_eq!(two(start, bytes), Err(BootError::OverlappingModules), "{start:#x}");
    }
    let nine = error(|memory| {
        memory.word(INFO + 12, 9);
        for index in 0..9 {
            memory.module(index, (4 + index as u64) * MIB, MIB);
        }
        memory
    });
    assert_eq!(nine, BootError::TooManyModules);
}

#[test]
fn a_memory_that_ends_too_early_is_no_panic_at_any_length() {
    let good = Memory::good();
    for length in 0..good.0.len() {
        let cut = Memory(good.0[..length].to_vec());
        let parsed = outcome(cut.parse());
        assert!(length >= MODULES + 32 || parsed == Err(DAMAGED), "{length:#x}: {parsed:?}");
    }
}

#[test]
fn a_command_line_that_is_no_text_is_none() {
    let boot_info = after(|memory| memory.bytes(COMMAND_LINE, b"a=\xff\0")).unwrap();
    assert_eq!(boot_info.command_line.as_str(), "");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        changes in prop::collection::vec((0..0x2000_usize, any::<u8>()), 0..40),
        in_info in prop::collection::vec((INFO + 4..INFO + 56, any::<u8>()), 0..6),
    ) {
        let mut memory = Memory::good();
        for (at, byte) in changes.into_iter().chain(in_info) {
            memory.0[at] = byte;
        }
        let _ = outcome(memory.parse());
    }

    #[test]
    fn no_entries_make_it_panic(
        entries in prop::collection::vec((any::<u64>(), any::<u64>(), 0..3_u32), 1..40),
        modules in prop::collection::vec((any::<u64>(), any::<u64>()), 0..10),
    ) {
        let mut memory = Memory::good();
        memory.word(INFO + 48, entries.len() as u32).word(INFO + 12, modules.len() as u32);
        for (index, (start, bytes, kind)) in entries.into_iter().enumerate() {
            memory.region(index, start, bytes, kind);
        }
        for (index, (start, bytes)) in modules.into_iter().enumerate() {
            memory.module(index, start, bytes);
        }
        let _ = outcome(memory.parse());
    }
}
